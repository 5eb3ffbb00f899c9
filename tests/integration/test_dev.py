"""Goal: under --dev the pages come from ./web, and tabs hear what changed, while no lease moves (CASES P11).
Method: a source tree of the test's own, edited as editors do it.
"""
import os
import subprocess
import time
import unittest

from lib.daemon import DaemonTest
from lib.pages import sign_in
from lib.wait import wait_until


class Dev(DaemonTest):
    def setUp(self):
        self.d = self.daemon(start=False, args=["--dev"])
        self.web = self.d.dir / "web"
        for name, text in {"pages/dashboard/index.html": "<title>one</title>", "ui/frame.css": "a{}",
                           "compat/sovereign.js": "1", "node_modules/x/x.js": "1"}.items():
            (self.web / name).parent.mkdir(parents=True, exist_ok=True)
            (self.web / name).write_text(text, encoding="utf-8")
        self.d.preexec = lambda: os.chdir(self.d.dir)
        self.d.start()

    def write(self, name, text="x"):
        (self.web / name).parent.mkdir(parents=True, exist_ok=True)
        (self.web / name).write_text(text, encoding="utf-8")

    def test_serves_the_sources(self):
        """What lies in ./web is served as it is now; what does not is not, even if it is compiled in."""
        headers = sign_in(self.d)
        self.assertEqual(self.d.http("GET", "/", headers=headers, token=None).body, b"<title>one</title>")
        self.write("pages/dashboard/index.html", "<title>two</title>")
        self.assertEqual(self.d.http("GET", "/", headers=headers, token=None).body, b"<title>two</title>")
        self.assertEqual(self.d.http("GET", "/modules/sovereign.js", token=None).body, b"1")
        for path in ("/console", "/ui/frame.js", "/sdk/index.js", "/pages/../node_modules/x/x.js"):
            self.assertEqual(self.d.http("GET", path, headers=headers, token=None).status, 404, path)
        self.assertEqual(self.d.http("GET", "/vendor/idb.js", token=None).status, 200)

    def test_p11_tabs_hear_and_no_lease_moves(self):
        """P11: edits of all kinds reach each tab once per wave; holder and waiter stay where they are."""
        holder, waiter = self.d.websocket("holder"), self.d.websocket("waiter")
        native = self.d.session("native")
        self.assertTrue(holder.welcome["dev"])
        granted = holder.hold()
        waiter.queue()
        before = [(row["id"], row["lease"], row["fence"]) for row in self.d.status()["leases"]]
        edits = [("ui/frame.css", "/ui/frame.css"),
                 ("compat/sovereign.js", "/modules/sovereign.js"),
                 ("pages/new/deep/fresh.js", "/pages/new/deep/fresh.js"),  # folders that were not there
                 ("pages/new/deep/fresh.js", "/pages/new/deep/fresh.js"),
                 ("sdk/index.js", "/sdk/index.js")]
        for name, url in edits:
            seen = {tab: len(tab.messages("reload", path=url)) for tab in (holder, waiter)}
            self.write(name)
            for tab, heard in seen.items():
                tab.wait("reload", path=url, count=heard + 1)
        self.write("ui/.frame.css.swp")
        self.write("ui/notes~")
        self.write("node_modules/x/x.js")
        (self.web / "ui/tmp").write_text("b{}", encoding="utf-8")
        os.rename(self.web / "ui/tmp", self.web / "ui/frame.css")  # as many editors save
        holder.wait("reload", path="/ui/frame.css", count=2)
        self.assertEqual({m["path"] for m in holder.messages("reload")}, {url for _, url in edits})
        self.assertEqual(native.messages("reload"), [])
        after = [(row["id"], row["lease"], row["fence"]) for row in self.d.status()["leases"]]
        self.assertEqual((after, self.d.waiting()), (before, ["waiter"]))
        self.assertFalse([m for tab in (holder, waiter) for m in tab.inbox if m["type"] in ("revoked", "yield")])
        self.assertEqual(before[0][1], granted["lease"])

    def test_a_flood_of_changes(self):
        """A checkout that changes hundreds of files is told as one change of everything."""
        tab = self.d.websocket("tab")
        (self.d.dir / "flood").mkdir()
        for number in range(300):
            (self.d.dir / "flood" / f"f{number}.js").write_text("x", encoding="utf-8")
        os.rename(self.d.dir / "flood", self.web / "pages/flood")
        tab.wait("reload", path="/")
        begun = time.monotonic()
        self.write("ui/last.css")
        wait_until(lambda: [m for m in tab.messages("reload") if m["at"] > begun
                            and m["path"] in ("/", "/ui/last.css")], "the last change is told")
        self.assertLess(len(tab.messages("reload")), 5)

    def test_needs_a_source_tree(self):
        """Elsewhere --dev refuses and says why; without it nothing is watched."""
        command = self.d.command()
        command[command.index("--state") + 1] = str(self.d.dir / "other")
        result = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=20, check=False,
                                env=self.d.environment())
        self.assertEqual(result.returncode, 78, result)
        self.assertIn("--dev", result.stderr)
        plain = self.daemon()
        self.assertNotIn("dev", plain.websocket("tab").welcome)


if __name__ == "__main__":
    unittest.main()
