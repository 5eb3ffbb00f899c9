"""Goal: the last lines of a run name each case that failed, with the command that repeats it. Method: what the
three test libraries print, as they print it.
"""
import importlib.util
import pathlib
import sys
import unittest

TOOLS = pathlib.Path(sys.argv.pop(1))
SPEC = importlib.util.spec_from_file_location("summary", TOOLS / "dev" / "summary.py")
summary = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(summary)

NODE = """not ok 64 - in Root Console: by name
  ---
  duration_ms: 31260.8
  location: '/some/where/tests/web/pages/add_models.test.mjs:109:1'
  failureType: 'testCodeFailure'
  error: |-
    locator.click: Timeout 30000ms exceeded.
    Call log:
  code: 'ERR_TEST_FAILURE'
  ...
ok 65 - another
  ---
  duration_ms: 1
  ...
not ok 66 - it waits
  ---
  location: '/some/where/tests/web/lifecycle/a.test.mjs:4:1'
  failureType: 'testCodeFailure'
  error: 'not within 120000 ms: the answer'
  ...
# pass 1
# fail 2
"""
UNITTEST = """....E...
======================================================================
ERROR: test_cannot_be_written (__main__.Sites.test_cannot_be_written)
What cannot be kept.
----------------------------------------------------------------------
Traceback (most recent call last):
  File "x.py", line 291, in test_cannot_be_written
TypeError: 'NoneType' object is not subscriptable

----------------------------------------------------------------------
Ran 18 tests in 30.757s

FAILED (errors=1)
"""
GROUP = """ERROR: test_a_turn (__main__.Sdk.test_a_turn)
----------------------------------------------------------------------
  + Exception Group Traceback (most recent call last):
  |   File "runner.py", line 118, in run
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
"""
DOTTED = """ERROR: test_a_turn (__main__.Sdk.test_a_turn)
Traceback (most recent call last):
mcp.shared.exceptions.MCPError: Connection closed
"""
CMOCKA = """[ RUN      ] test_loading_place
[  ERROR   ] --- 0x2 != 0x1
[   LINE   ] --- ../tests/unit/core/test_plain.c:354: error: Failure!
[  FAILED  ] test_loading_place
[  FAILED  ] 1 test(s), listed below:
"""


def cases(output, command=()):
    return list(summary.failed_cases({"name": "baton:x / y", "stdout": output, "command": list(command)}))


class Named(unittest.TestCase):
    def test_node(self):
        first, second = cases(NODE)
        self.assertEqual(first, "tests/web/pages/add_models.test.mjs:109:1: in Root Console: by name: locator.click: "
                         "Timeout 30000ms exceeded. (again: make web FILES=tests/web/pages/add_models.test.mjs)")
        self.assertIn("a.test.mjs:4:1: it waits: not within 120000 ms: the answer (again", second)

    def test_unittest(self):
        found = cases(UNITTEST, ["python3", "/some/where/tests/integration/test_sites.py", "-v"])
        self.assertEqual(found, ["__main__.Sites.test_cannot_be_written: TypeError: 'NoneType' object is not "
                                 "subscriptable (again: BATON_BIN=$PWD/build/baton python3 "
                                 "tests/integration/test_sites.py -k test_cannot_be_written)"])

    def test_unittest_of_other_libraries(self):
        """What a task group raises is indented; classes of packages have their names before them."""
        self.assertIn("Sdk.test_a_turn: ExceptionGroup: unhandled errors", cases(GROUP)[0])
        self.assertIn("Sdk.test_a_turn: mcp.shared.exceptions.MCPError: Connection closed", cases(DOTTED)[0])

    def test_cmocka(self):
        self.assertEqual(cases(CMOCKA), ["y: ../tests/unit/core/test_plain.c:354: 0x2 != 0x1"])

    def test_counts(self):
        test = {"name": "baton:x / y", "result": "FAIL", "stdout": UNITTEST}
        self.assertEqual(summary.count_cases(test), (17, 1, 0))


if __name__ == "__main__":
    unittest.main()
