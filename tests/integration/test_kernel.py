"""Goal: what needs the kernel's controllers is tried on a kernel that has them, whatever the machine's own is.
Method: User Mode Linux, a kernel that runs as a process of this user; its root is the machine's, read-only. In it
guest_kernel.py runs, each of whose tests is one here.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from lib.daemon import BATON, die_with_parent

HERE = pathlib.Path(__file__).resolve().parent
KERNEL = shutil.which("linux.uml")
DEADLINE_S = 300


def boot(folder, words=()):
    """All that it says until it is off."""
    console = ["con=null", "con0=null,fd:1", "ssl=null", "quiet", f"umid=baton-{os.getpid()}", f"uml_dir={folder}"]
    result = subprocess.run(
        [KERNEL, "mem=640M", "rootfstype=hostfs", "rootflags=/", "ro", f"init={HERE}/lib/guest.sh", *console,
         f"TESTS={HERE}", f"BATON_BIN={BATON}", f"PYTHON={sys.executable}", f"WORDS={' '.join(words)}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE_S, check=False,
        preexec_fn=die_with_parent, env={"PATH": os.environ["PATH"], "TMPDIR": str(folder)})
    return result.stdout.decode(errors="replace").replace("\r", "")


@unittest.skipUnless(KERNEL, "User Mode Linux is not installed (Debian: user-mode-linux)")
class Kernel(unittest.TestCase):
    def test_in_a_kernel_of_its_own(self):
        with tempfile.TemporaryDirectory(prefix="bt-", dir="/tmp") as folder:
            said = boot(folder, sys.argv[1:])
        self.assertIn("guest: ended with 0", said, said[-16000:])
        print("in the kernel:", ", ".join(re.findall(r"^(test_\w+) \(", said, re.M)), file=sys.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + ["-v"])
