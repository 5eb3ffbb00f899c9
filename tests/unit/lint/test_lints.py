"""Goal: show that each lint can see what it forbids. Method: a small tree with one fault each."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else pathlib.Path("tools")
GOOD = "/* good: holds a number. */\n#include <assert.h>\n\nint good(int x);\n"


class Lints(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="baton-lint-"))
        self.addCleanup(shutil.rmtree, self.root)

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def lint(self, tool, *arguments):
        command = [sys.executable, str(TOOLS / tool), *(arguments or [str(self.root)])]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        return result.returncode, result.stdout + result.stderr

    def expect(self, tool, path, text, words):
        """The tool passes without the fault and names it with it."""
        self.write("src/base/good.c", GOOD)
        self.assertEqual(self.lint(tool)[0], 0, self.lint(tool)[1])
        self.write(path, text)
        status, output = self.lint(tool)
        self.assertEqual(status, 1, output)
        self.assertIn(words, output)
        self.assertIn(path, output)

    def test_layers_see_core_using_net(self):
        """The core cannot reach the sockets."""
        self.expect("check/layers.py", "src/core/a.c", '#include "net/net.h"\n', "core may not use net")

    def test_layers_see_siblings(self):
        """Siblings do not know each other: net knows nothing of wire."""
        self.expect("check/layers.py", "src/net/a.c", '#include "wire/wire.h"\n', "net may not use wire")

    def test_layers_see_process_using_net(self):
        """Process facts stand below the sockets that ask for them."""
        self.write("src/net/fine.c", '#include "process/proc.h"\n')
        self.expect("check/layers.py", "src/process/a.c", '#include "net/loop.h"\n', "process may not use net")

    def test_layers_see_syntax_using_sockets(self):
        """The syntax of HTTP stays below the sockets."""
        self.write("src/net/fine.c", '#include "http/status.h"\n')
        self.expect("check/layers.py", "src/http/a.c", '#include "net/net.h"\n', "http may not use net")

    def test_layers_see_wire_using_decisions(self):
        """Wire may read the core's values but not call its step."""
        self.write("src/wire/fine.c", '#include "core/event.h"\n')
        self.expect("check/layers.py", "src/wire/a.c", '#include "core/core.h"\n', "wire may not use core")

    def test_layers_see_cli_using_server(self):
        """The command line speaks to the daemon, it does not contain it."""
        self.expect("check/layers.py", "src/cli/a.c", '#include "server/server.h"\n', "cli may not use server")

    def test_layers_see_a_room_using_what_it_was_not_given(self):
        """A room of the server takes the parts that it is given."""
        self.write("src/server/pages/fine.c", '#include "server/pages/pages.h"\n#include "server/respond.h"\n')
        self.expect("check/layers.py", "src/server/pages/a.c", '#include "server/broker.h"\n',
                    "server/pages may not use it")

    def test_layers_see_a_part_using_the_whole_server(self):
        """Only what puts it together and runs its loop sees all of it."""
        self.write("src/server/serve.c", '#include "server/server.h"\n')
        self.expect("check/layers.py", "src/server/a.c", '#include "server/server.h"\n', "not the whole")

    def test_layers_see_library_in_wrong_folder(self):
        """Each library has one folder that knows it."""
        self.expect("check/layers.py", "src/server/a.c", "#include <sqlite3.h>\n", "may not use this library")

    def test_fields_see_a_member_without_a_row(self):
        """A struct cannot grow without its table."""
        self.write("src/core/a.h", "struct a {\n\tint one, two; /* three */\n\tstruct list *links;\n};\n")
        rows = "#define T struct a\nstatic const struct field rows[] = {ROW_INT(T, 1, one)%s};\n#undef T\n"
        self.write("src/core/a.c", rows % "")
        status, output = self.lint("check/fields.py")
        self.assertEqual(status, 1, output)
        self.assertIn("`two` has no row", output)
        self.write("src/core/a.c", rows % ", ROW_INT(T, 2, two)")
        self.assertEqual(self.lint("check/fields.py")[0], 0, output)
        self.write("src/core/a.h", "struct a {\n\tint one, two;\n\tchar *text;\n\tconst struct b *b;\n};\n")
        status, output = self.lint("check/fields.py")
        self.assertEqual(status, 1, output)
        self.assertIn("`text` has no row", output)
        self.assertNotIn("`b` has", output)
        self.write("src/core/a.c", rows % ", ROW_INT(T, 2, two), /* Apart: text. */")
        self.assertEqual(self.lint("check/fields.py")[0], 0, output)

    def test_includes_see_a_file_that_sees_too_much(self):
        """A .c that sees more headers than any did, through others, is named."""
        for number in range(300):
            self.write(f"src/base/h{number}.h", f'#pragma once\n#include "base/h{number + 1}.h"\n')
        self.expect("check/includes.py", "src/base/a.c", '/* a. */\n#include "base/h0.h"\n', "sees 300 headers")

    def test_includes_see_a_hub(self):
        """What a header includes counts for each file that includes it."""
        for number in range(30):
            self.write(f"src/base/h{number}.h", "#pragma once\n")
        includes = "".join(f'#include "base/h{number}.h"\n' for number in range(30))
        for number in range(200):
            self.write(f"src/base/c{number}.c", '/* c. */\n#include "base/hub.h"\n')
        self.write("src/base/hub.h", "#pragma once\n")
        self.assertEqual(self.lint("check/includes.py")[0], 0)
        self.write("src/base/hub.h", includes)
        status, output = self.lint("check/includes.py")
        self.assertEqual(status, 1, output)
        self.assertIn("median: 31", output)

    def test_includes_see_a_function_declared_elsewhere(self):
        """A part of several files has one header; a function of another file is named."""
        definition = "/* a. */\n%sint\n%s(int x)\n{\n\treturn x;\n}\n"
        self.write("src/base/part.h", "#pragma once\nint part_a(int x);\n")
        self.write("src/base/part_step.c", definition % ("", "part_a"))
        self.write("src/base/b.c", definition % ("static ", "part_b"))
        functions = [f"f{number}" for number in range(200)]
        self.write("src/base/other.h", "".join(f"void {name}(void);\n" for name in functions))
        self.expect("check/includes.py", "src/base/a.c",
                    "/* a. */\n" + "".join(f"void {name}(void)\n{{\n}}\n" for name in functions),
                    "f199 is declared in other.h")

    def test_preload_sees_a_module_that_waits(self):
        """A page names all modules below its entry, and writes the lines itself when it is asked to."""
        head = '<link rel="modulepreload" href="/pages/a/b.js">\n'
        entry = '<script type="module" src="/pages/a/a.js"></script>\n'
        self.write("pages/a/a.js", 'import { b } from "./b.js";\nconst text = "import it";\n')
        self.write("pages/a/b.js", "export const b = 1;\n")
        self.write("pages/a/index.html", head + entry)
        self.assertEqual(self.lint("gen/preload.py")[0], 0)
        self.write("pages/a/b.js", 'export { c as b } from "/sdk/c.js";\nimport "../a/a.js";\n')
        self.write("sdk/c.js", "export const c = 1;\n")
        self.assertEqual(self.lint("gen/preload.py")[0], 1)
        self.assertEqual(self.lint("gen/preload.py", "--fix", str(self.root))[0], 0)
        self.assertIn("/sdk/c.js", (self.root / "pages/a/index.html").read_text())
        self.assertEqual(self.lint("gen/preload.py")[0], 0)

    def test_layers_see_system_header_in_core(self):
        """No clock and no socket in the core."""
        self.expect("check/layers.py", "src/core/a.c", "#include <time.h>\n", "core is pure")

    def test_layers_see_unknown_folder(self):
        """A new folder must enter the table first."""
        self.expect("check/layers.py", "src/misc/a.c", "#include <stdio.h>\n", "not in the table")

    def test_layers_see_sdk_using_a_library(self):
        """The browser SDK depends on nothing, whatever way an import is written."""
        self.write("web/sdk/fine.js", 'import { a } from "./a.js";\n')
        for line in ('import x from "lit-html";', 'import {\n\ty,\n} from "../pages/y.js";',
                     'const z = await import("/vendor/z.js");'):
            self.expect("check/layers.py", "web/sdk/a.js", line + "\n", "sdk may not")
            (self.root / "web/sdk/a.js").unlink()

    def test_layers_see_page_from_elsewhere(self):
        """Pages take nothing from other machines."""
        self.write("web/pages/a/fine.js", 'import "../../ui/b.js";\nimport c from "/vendor/c.js";\nimport "./d.js";\n')
        self.expect("check/layers.py", "web/pages/a/a.js", 'import x from "https://cdn.example/x.js";\n',
                    "pages may not")

    def test_layers_see_page_using_another(self):
        """What two pages need lies beside the pages, and needs no page."""
        self.write("web/pages/a/fine.js", 'import "./b.js";\n')
        self.expect("check/layers.py", "web/pages/a/a.js", 'import x from "../b/x.js";\n', "pages may not")
        (self.root / "web/pages/a/a.js").unlink()
        self.expect("check/layers.py", "web/ui/a.js", 'import x from "../pages/b/x.js";\n', "ui may not")

    def test_tidy_sees_long_line(self):
        """100 columns."""
        self.expect("check/tidy.py", "src/base/a.c", GOOD + "/* " + "x" * 120 + " */\n", "columns")
        (self.root / "src/base/a.c").unlink()
        self.expect("check/tidy.py", "web/sdk/a.js", "// " + "x" * 120 + "\n", "web/sdk/a.js:1: 123 columns")

    def test_tidy_sees_long_function(self):
        """70 lines a function."""
        body = "/* a. */\nint f(void)\n{\n" + "\t;\n" * 70 + "}\n"
        self.expect("check/tidy.py", "src/base/a.c", body, "function of 72 lines")

    def test_tidy_sees_long_file(self):
        """800 lines a file."""
        self.expect("check/tidy.py", "src/base/a.h", "int x;\n" * 801, "801 lines")

    def test_tidy_sees_missing_head(self):
        """Each .c begins by saying what it is."""
        self.expect("check/tidy.py", "src/base/a.c", "int x;\n", "begins without a comment")

    def test_tidy_sees_a_body_in_one_piece(self):
        """Fifteen lines have a blank line or a comment between their steps; fourteen need none."""
        self.write("src/base/short.c", GOOD + "void f_f(void)\n{\n" + "\tg();\n" * 14 + "}\n")
        self.write("src/base/parted.c", GOOD + "void f_f(void)\n{\n" + "\tg();\n" * 8 + "\n" + "\tg();\n" * 8 + "}\n")
        self.expect("check/tidy.py", "src/base/a.c", GOOD + "void f_f(void)\n{\n" + "\tg();\n" * 15 + "}\n",
                    "in one piece")

    def test_tidy_sees_a_static_of_one_word(self):
        """A static is looked for by its name; `run` is everywhere."""
        self.write("src/base/named.c", GOOD + "static int *run_jobs(void)\n{\n\treturn 0;\n}\n")
        self.expect("check/tidy.py", "src/base/a.c", GOOD + "static int *run(void)\n{\n\treturn 0;\n}\n", "static run")

    def test_tidy_sees_a_file_that_is_not_there(self):
        """A comment outlives the file that it names."""
        self.write("src/base/named.c", GOOD + "/* See good.c, and <gone.h>. */\n")
        self.expect("check/tidy.py", "src/base/a.c", "/* a: called by gone.c. */\n", "names gone.c")

    def test_tidy_sees_assert_with_effect(self):
        """An assert changes nothing."""
        for effect in ("x = 1", "x++", "--x"):
            for word in ("assert", "PRE", "POST", "INVARIANT"):
                self.write("src/base/a.c", f"/* a. */\nvoid f(void)\n{{\n\t{word}({effect});\n}}\n")
                self.assertIn("effect inside", self.lint("check/tidy.py")[1], effect)
        for fine in ("x == 1", "x <= y", "a != b && c >= d", "strcmp(a, b) == 0"):
            self.write("src/base/a.c", f"/* a. */\nvoid f(void)\n{{\n\tassert({fine});\n}}\n")
            self.assertNotIn("effect inside", self.lint("check/tidy.py")[1], fine)

    def test_tidy_sees_banned_names(self):
        """strcpy and its kind, in code but not in comments or longer names."""
        self.write("src/base/b.c", "/* strcpy( is banned */\nint my_rand(int);\nint s = str.rand(1);\n")
        self.assertEqual(self.lint("check/tidy.py")[0], 0)
        self.expect("check/tidy.py", "src/base/a.c", GOOD + "void f(void)\n{\n\tstrcpy(a, b);\n}\n", "strcpy is banned")

    def test_tidy_sees_an_open_that_waits(self):
        """A file is opened so that a FIFO in its place is an error; what cannot wait is as it was."""
        self.write("src/base/fine.c", GOOD + 'int x = open("/dev/null", O_RDWR);\nint y = open(path,\n\tO_NONBLOCK);\n'
                                             "int z = ops->open(path);\n")
        for call in ("open(path, O_RDONLY)", "openat(fd, path, 0)", 'fopen(path, "re")', "json_load_file(path, 0, 0)"):
            self.write("src/base/a.c", GOOD)
            self.expect("check/tidy.py", "src/base/a.c", GOOD + f"int x = {call};\n", "waits where a FIFO is")

    def test_tidy_sees_clock_in_core(self):
        """The core gets its now from the event."""
        text = "/* a. */\nvoid f(void)\n{\n\tassert(x);\n\ttime(NULL);\n}\n"
        self.expect("check/tidy.py", "src/core/a.c", text, "reads no clock")

    def test_tidy_sees_few_asserts_in_core(self):
        """At least 31 asserts per 1000 lines of core."""
        self.write("src/core/a.c", "/* a. */\n" + "int x;\n" * 200)
        status, output = self.lint("check/tidy.py")
        self.assertEqual(status, 1)
        self.assertIn("0 asserts per 1000 lines, at least 31", output)

    def test_tidy_sees_addresses_and_paths(self):
        """No registry and no home of anybody in the tree."""
        self.write("docs/a.md", "see https://registry." + "npmjs.org/x\nand /ho" + "me/someone/x\n")
        output = self.lint("check/tidy.py")[1]
        self.assertIn("package registry", output)
        self.assertIn("somebody's home", output)

    def test_tidy_sees_leftovers(self):
        """What is not done is an issue, not a comment."""
        self.expect("check/tidy.py", "src/base/a.c", "/* a. TO" + "DO: more */\n", "leftover")

    def test_headers_see_missing_include(self):
        """A header that needs another one first."""
        self.write("src/base/fine.h", "#pragma once\n#include <stdint.h>\nuint64_t f(void);\n")
        self.assertEqual(self.lint("check/headers.py", str(self.root), "gcc", "g++")[0], 0)
        self.write("src/base/a.h", "#pragma once\nuint64_t g(void);\n")
        status, output = self.lint("check/headers.py", str(self.root), "gcc", "g++")
        self.assertEqual(status, 1)
        self.assertIn("base/a.h: does not compile alone", output)

    def test_docs_see_what_is_not_there(self):
        """A key without its words, a link to nowhere, a scenario without its row, a module without its line."""
        self.write("src/core/claim.c", "/* claim: one. */\n")
        self.write("docs/architecture.md", "`claim`\n")
        self.write("src/config/settings_schema.c", 'CYAML_FIELD_UINT_PTR("slots", x)')
        self.write("src/config/settings_impl.h", "\tX(grace_s, grace_ms, 0, 1)\n")
        self.write("man/baton-config.5.scd", "*slots* *grace_s*\n")
        self.write("src/base/err.h", '\tX(ERR_STALE, "stale", 409, 75, 0, "Gone.")\n')
        self.write("src/cli/cli.c", '"Exit status: 0 done, 64 usage, 75 again",\n')
        self.write("man/baton.1.scd", "# EXIT STATUS\n\n*64*\n\tUsage.\n\n*75*\n\tAgain.\n\n# FILES\n")
        self.write("docs/operations.md", "`slots`, `grace_s`, [cases](cases.md)\n")
        self.write("docs/cases.md", "# Cases\n")
        self.write("tests/conformance/scenarios/late.json", '{"about": "It is late."}')
        self.write("docs/conformance.md", "| `late` | It is late. | ok | – | ok | |\n")
        self.assertEqual(self.lint("check/docs.py")[0], 0, self.lint("check/docs.py")[1])
        self.write("src/core/lease.h", "/* lease: one. */\n")
        self.write("docs/conformance.md", "| `late` | It is soon. | ok | – | ok | |\n"
                   "| `gone` | It was. | ok | ok | ok | |\n")
        self.write("docs/operations.md", "`slots`, [cases](case.md)\n")
        self.write("man/baton.1.scd", "# EXIT STATUS\n\n*64*\n\tUsage.\n\n# FILES\n\n# FILES\n")
        self.write("src/cli/cli.c", '"Exit status: 0 done, 75 again",\n')
        status, output = self.lint("check/docs.py")
        self.assertEqual(status, 1)
        for words in ("key grace_s", "no file case.md", "FILES stands there twice", "EXIT STATUS has no 75",
                      "no exit status 64", "row of late", "row of gone",
                      "no line for src/core/lease"):
            self.assertIn(words, output)

    def test_cases_see_what_no_test_shows(self):
        """A case without its test or a reason, a table that is older than its data or has no place."""
        check = ("gen/cases.py", "--root", str(self.root), "--check")
        for path, text in (("unit/test_a.c", "static void test_real(void **state)\n"),
                           ("web/a.test.mjs", 'test("tells", () => 1);\n'),
                           ("integration/test_a.py", "    def test_dies(self):\n"),
                           ("conformance/scenarios/late.json", "{}\n")):
            self.write(f"tests/{path}", text)
        self.write("Makefile", "sim: build\n")
        self.write("docs/cases.md", "# Cases\n\n<!-- cases: deaths -->\n<!-- /cases -->\n")
        named = ["unit/test_a.c::test_real", "web/a.test.mjs::tells", "integration/test_a.py::test_dies",
                 "conformance/scenarios/late.json", {"shows": "all", "by": ["make sim"]}]
        cases = [{"id": "S1", "case": "it dies", "must": "free", "tests": named},
                 {"case": "etcd dies", "must": "nothing", "untested": "there is none"}]
        self.write("tests/cases/deaths.json", json.dumps(cases))
        self.assertIn("docs/cases.md: is older", self.lint(*check)[1])
        self.assertEqual(self.lint("gen/cases.py", "--root", str(self.root), "--fix")[0], 0)
        self.assertEqual(self.lint(*check), (0, "cases: 2 cases, 0 problems\n"))
        self.assertIn("*all*: `make sim`", (self.root / "docs/cases.md").read_text(encoding="utf-8"))
        cases[0]["tests"] = [*(test + "ed" for test in named[:4]), {"shows": "all", "by": ["make simulator"]}]
        cases[1] = {"case": "etcd dies", "tests": [{"shows": "nothing", "by": []}]}
        self.write("tests/cases/deaths.json", json.dumps(cases))
        self.write("tests/cases/lives.json", "[]")
        status, output = self.lint(*check)
        self.assertEqual(status, 1)
        for words in ("S1: unit/test_a.c has no test_realed", "web/a.test.mjs has no tellsed", "has no test_diesed",
                      "no target make simulator", "no file tests/conformance/scenarios/late.jsoned",
                      "etcd dies: has no test and does not say why", "says what no test shows",
                      "unlike the others of its table", "no place for lives"):
            self.assertIn(words, output)

    def copy(self, *paths):
        for path in paths:
            source, target = TOOLS.parent / path, self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)

    def change(self, path, old, new):
        text = (self.root / path).read_text(encoding="utf-8")
        self.assertIn(old, text)
        self.write(path, text.replace(old, new, 1))

    def test_protocol_sees_a_stale_table(self):
        """The document and the types are older than their source; a message has no place."""
        self.copy("protocol", "docs/protocol.md", "web/sdk/protocol.d.ts", "src/base/err.h", "src/core/view.h",
                  "tests/unit/wire/golden", "clients/python/baton/_errors.py")
        check = ("gen/protocol", "--root", str(self.root), "--check")
        self.assertEqual(self.lint(*check)[0], 0, self.lint(*check)[1])
        self.change("protocol/client/bye.json", "Ends all claims", "Ends claims")
        status, output = self.lint(*check)
        self.assertEqual(status, 1)
        for words in ("docs/protocol.md: is older", "protocol.d.ts: is older", "python3 tools/gen/protocol --fix"):
            self.assertIn(words, output)
        self.assertEqual(self.lint("gen/protocol", "--root", str(self.root), "--fix")[0], 0)
        self.assertEqual(self.lint(*check)[0], 0)
        self.change("src/base/err.h", '"busy", 503, 75', '"busy", 503, 69')
        self.assertIn("clients/python/baton/_errors.py: is older", self.lint(*check)[1])
        self.change("docs/protocol.md", "<!-- protocol: client/bye -->", "")
        self.assertIn("has no place for client/bye", self.lint(*check)[1])

    def test_protocol_sees_a_field_without_a_schema(self):
        """C cannot write or read a field that protocol/ does not know, nor protocol/ one that C does not."""
        self.copy("protocol", "docs/protocol.md", "src/base", "src/core", "src/json", "src/wire",
                  "src/server", "src/gateway", "tools/gen/protocol", "tests/unit/wire/golden")
        check = ("../tests/unit/wire/protocol.py", str(self.root))
        self.assertEqual(self.lint(*check)[0], 0, self.lint(*check)[1])
        faults = (
            ("src/wire/session_encode.c", 'text_json_u64(out, "to", send->other);',
             'text_json_u64(out, "to", send->other);\n\t\ttext_json_u64(out, "extra", 1);',
             "broker/lent: the source has ['extra']"),
            ("src/wire/session_decode.c", 'required_number(m, "to", &m->event.lend.to)',
             'required_number(m, "whom", &m->event.lend.to)',
             "client/lend: the source has ['whom'], protocol/ alone has ['to']"),
            ("protocol/broker/log.json", '"line": {', '"level": {"type": "string"}, "line": {',
             "broker/log: the source has [], protocol/ alone has ['level']"),
            ("protocol/broker/keep.json", '"const": "keep"', '"const": "kept"',
             "broker-keep.json is not as protocol/broker/keep.json says"),
            ("src/core/trace.h", '"kept"', '"left"', "event_what differs"),
            ("src/wire/route_table.h", '"/health", ACCESS_NONE', '"/health", ACCESS_TOKEN', "routes: differ"),
            ("docs/protocol.md", '> {"type":"accept","lease":7}', '> {"type":"accept","claim":7}', "a dialogue's"))
        for path, old, new, _ in faults:
            self.change(path, old, new)
        status, output = self.lint(*check)
        self.assertEqual(status, 1)
        for *_, words in faults:
            self.assertIn(words, output)

    def test_javascript_sees_another_dialect(self):
        """A mistake, a short name in the SDK, a layout of its own, a module that does not say what it is for."""
        self.copy(".editorconfig", ".prettierrc.json")
        good = "// @ts-check\n// a: is fine.\nexport const name = 1;\n"
        self.write("web/ui/a.js", good)
        if not shutil.which("node"):
            self.skipTest("no node here")
        check = ["node", str(TOOLS / "check/javascript.mjs"), str(self.root)]
        result = subprocess.run(check, capture_output=True, text=True, check=False)
        if result.returncode == 77:
            self.skipTest(result.stdout)
        self.assertEqual(result.returncode, 0, result.stdout)
        self.write("web/ui/loose.js", good + 'if (name == "1") throw name;\n')
        self.write("web/sdk/short.js", "// @ts-check\n// b.\nexport const f = (o) => o;\n")
        self.write("web/ui/wide.js", good + "export const list = [1,2];\n")
        self.write("web/pages/a/mute.js", "export const name = 1;\n")
        self.write("tests/web/x.test.mjs", "// x.\nunknown();\n")
        result = subprocess.run(check, capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 1, result.stdout)
        for words in ("loose.js:4: Expected '===' and instead saw '=='", "short.js:3: Identifier name 'o'",
                      "wide.js: not as prettier", "mute.js:1: Begin with", "'unknown' is not defined"):
            self.assertIn(words, result.stdout)

    def test_purity_sees_a_clock(self):
        """A library that calls write, even through a helper, is not pure."""
        self.write("core.c", "void helper(void); void *malloc(unsigned long);\nvoid f(void) { helper(); malloc(1); }\n")
        self.write("pure.c", "void helper(void) {}\n")
        self.write("dirty.c", "long write(int, char *, unsigned long);\nvoid helper(void) { write(1, 0, 1); }\n")
        self.write("unused.c", "long read(int, void *, unsigned long);\nvoid other(void) { read(0, 0, 0); }\n")
        for name in ("core", "pure", "dirty", "unused"):
            source = str(self.root / f"{name}.c")
            subprocess.run(["gcc", "-w", "-c", source, "-o", source[:-1] + "o"], check=True)
            subprocess.run(["ar", "rcs", source[:-1] + "a", source[:-1] + "o"], check=True)
        core, pure, dirty, unused = (str(self.root / f"{n}.a") for n in ("core", "pure", "dirty", "unused"))
        self.assertEqual(self.lint("check/purity.py", core, pure, unused)[0], 0)
        status, output = self.lint("check/purity.py", core, dirty)
        self.assertEqual(status, 1)
        self.assertIn("uses write", output)


if __name__ == "__main__":
    unittest.main()
