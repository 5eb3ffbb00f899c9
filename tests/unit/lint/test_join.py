"""What tools/gen/join.py makes of a page does what the page did: each module once and in its own scope, what is asked
for early first, what is imported later from the same modules; and what stands in the page itself. Node runs it, where
there is Node.
Usage: test_join.py TOOLS_DIR
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(sys.argv[1]) / "gen"))
from join import inline_hashes, join_page  # noqa: E402

PAGE = """<head>
<link rel="modulepreload" href="/pages/a/b.js">
<link rel="modulepreload" href="/vendor/big.js">
<script type="module" src="/pages/a/early.js" async></script>
<link rel="stylesheet" href="/ui/x.css">
<script type="module" src="/pages/a/a.js"></script>
</head>
<p></p>
<noscript></noscript>
"""
STYLE = """/* What it looks like. */
p {
\tmask: url("data:image/png,");
}
"""
EARLY = """// early
import { say } from "../../ui/said.js";

say("early");
export const early = 1;
"""
SAID = """/* What was said,
 * in order. */
const size = 1;
export const said = [];

/** @param {string} text */
export function say(text) {
\tsaid.push(`${size} ${text}`); // import { no } from "./no.js";
}
"""
FORMS = """import * as all from "../../ui/said.js";
import { say as tell } from "/ui/said.js";

const size = 2;
class Own {}
export { Own };
export { say } from "../../ui/said.js";
export class Made {}
export async function wait() {}
export async function* some() {}
export const where = import.meta.url;
tell(`${size} ${all.said.length}`);
"""
ENTRY = """import "./early.js";
import {
\tMade,
\tOwn,
\tsay,
\tsome,
\twait,
\twhere,
} from "./forms.js";
import { said } from "../../ui/said.js";

await wait();
say(where);
for await (const never of some()) say(never);
say(typeof Made + typeof Own);
const { later } = await import("./later.js");
/** @type {import("./types.js").No} */
later();
console.log(said.join("; "));
"""
LATER = 'import { say } from "../../ui/said.js";\nexport const later = () => say("later");\n'
WANTED = "1 early; 1 2 1; 1 http://x/pages/a/forms.js; 1 functionfunction; 1 later"
AROUND = 'globalThis.location = { origin: "http://x" };\nglobalThis.document = { readyState: "complete" };\n'


def scripts_of(page):
    """The scripts that stand in a page."""
    return re.findall("<script>(.*?)</script>", page, re.S)


class Join(unittest.TestCase):
    """A small web folder."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.web = pathlib.Path(folder.name)
        for name, text in (("pages/a/index.html", PAGE), ("pages/a/early.js", EARLY), ("ui/said.js", SAID),
                           ("pages/a/forms.js", FORMS), ("pages/a/a.js", ENTRY), ("pages/a/later.js", LATER),
                           ("ui/x.css", STYLE)):
            self.write(name, text)

    def write(self, name, text):
        path = self.web / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def join(self):
        return join_page(self.web, self.web / "pages/a/index.html")

    def test_what_a_page_runs_stands_in_it(self):
        """The early before the styles, all else that it runs behind what it shows; later ones are a script."""
        self.write("pages/a/forms.js", 'import big from "/vendor/big.js";\n' + FORMS)
        page, address, script = self.join()
        self.assertEqual(address, "/pages/a/joined.js")
        early, rest = scripts_of(page)
        self.assertEqual(page.replace(early, "EARLY").replace(rest, "REST"),
                         '<head>\n<link rel="modulepreload" href="/vendor/big.js">\n'
                         "<script>EARLY</script>\n<style>\np {\nmask: url(\"data:image/png,\");\n}\n</style>\n</head>\n"
                         "<p></p>\n<script>REST</script>\n<noscript></noscript>\n")
        self.assertIn('const { default: big } = await $load("/vendor/big.js");', rest)
        self.assertNotIn("What was said", page)
        self.assertNotIn("types.js\": (", rest)
        for url, place in (("/pages/a/early.js", early), ("/ui/said.js", early), ("/pages/a/a.js", rest),
                           ("/pages/a/forms.js", rest), ("/pages/a/later.js", script)):
            for text in (early, rest, script):
                self.assertEqual(f'"{url}": (async' in text, text == place, url)

    def test_a_page_without_the_early_asks_for_one_script(self):
        """And for libraries, which stay what they are; its styles stand in it all the same."""
        self.write("pages/a/index.html", PAGE.replace(" async", ""))
        page, _, script = self.join()
        self.assertEqual(page.count("<script"), 1)
        self.assertIn('<script type="module" src="/pages/a/joined.js"></script>\n</head>', page)
        self.assertIn("<style>\np {", page)
        for url in ("/pages/a/early.js", "/ui/said.js", "/pages/a/a.js", "/pages/a/forms.js", "/pages/a/later.js"):
            self.assertIn(f'"{url}": (async', script)

    def test_what_stands_in_a_page_is_named_by_its_hash(self):
        """As a content policy names it: all between the tags; and nothing in it ends it."""
        self.assertEqual(inline_hashes("<script>alert('Hello, world.');</script><script src=x></script>"),
                         ["'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"])
        page = self.join()[0]
        self.assertEqual([len(inline_hashes(page)), len(inline_hashes(page, "style"))], [2, 1])
        self.write("pages/a/early.js", 'export const early = "</script>";\n')
        with self.assertRaisesRegex(SystemExit, "end a script"):
            self.join()
        self.write("pages/a/early.js", EARLY)
        for text in ("p { content: '</style>'; }", "p { mask: url(/x.svg); }", 'p { mask: url("x.svg"); }'):
            self.write("ui/x.css", text)
            with self.assertRaisesRegex(SystemExit, "x.css: has what"):
                self.join()

    def test_what_a_page_names_in_its_script(self):
        """An entry that is imported by the name which the page gives."""
        self.write("ui/start.js", "await import(document.readyState);\n")
        self.write("pages/a/index.html", '<script type="module" src="/ui/start.js" data-page="/pages/a/later.js"\n'
                   '\tdata-name="a"></script>\n')
        page, _, script = self.join()
        self.assertEqual(page, '<script type="module" src="/pages/a/joined.js" data-page="/pages/a/later.js"\n'
                         '\tdata-name="a"></script>\n')
        self.assertIn('"/pages/a/later.js": (', script)
        self.assertIn("await $load(document.readyState)", script)

    @unittest.skipUnless(shutil.which("node"), "no Node here")
    def test_it_runs_as_the_modules_did(self):
        """Once each, in their order, each in a scope of its own."""
        page, address, joined = self.join()
        (self.web / "joined.mjs").write_text(joined, encoding="utf-8")
        begun = AROUND + "\n".join(scripts_of(page)).replace(address, "./joined.mjs")
        self.assertRuns("begun.cjs", begun)
        self.write("pages/a/index.html", PAGE.replace(" async", ""))
        self.assertRuns("whole.mjs", AROUND + self.join()[2])

    def assertRuns(self, name, script):
        (self.web / name).write_text(script, encoding="utf-8")
        done = subprocess.run(["node", self.web / name], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.stdout.strip(), WANTED)

    def test_what_cannot_be_joined_is_refused(self):
        """A circle would wait for itself; a form that is not known would be left in."""
        self.write("ui/said.js", 'import "../pages/a/forms.js";\n' + SAID)
        with self.assertRaisesRegex(SystemExit, "imports itself"):
            self.join()
        self.write("ui/none.js", "export const none = 0;\n")
        for text in ("export default 1;\n", "export let one = 1;\n", 'export * from "./none.js";\n'):
            self.write("ui/said.js", SAID + text)
            with self.assertRaisesRegex(SystemExit, "does not know", msg=text):
                self.join()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
