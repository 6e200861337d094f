#!/usr/bin/env python3
"""How run.py runs programs made with the kernel's test harness, and what verdicts.py thinks of it.

The programs are scripts that print what the harness would.
"""

import contextlib
import io
import pathlib
import subprocess
import tempfile
import time
import unittest

import results
import verdicts

LISTING = """\
# FIXTURE            VARIANT                   TEST
global                                         
--------------------------------------------------------------------------------
plain                                          good
                                               bad
                                               absent
                                               killed
                                               endless
--------------------------------------------------------------------------------
a_fixture_with_a_long_name first                     one
                     second                    two
                     third                     
"""

# $2 is the test's name behind -r.
PROGRAM = """#!/bin/bash
if [[ $1 == -l ]]; then
  cat "${0%/*}/listing" >&2
  exit 4
fi
printf 'TAP version 13\\n1..1\\n# Starting 1 tests from 1 test cases.\\n'
echo "#  RUN           $2 ..."
case $2 in
  *.bad) echo '# a.c:7:bad:Expected 0 (0) == 1 (1)' >&2; echo "not ok 1 $2" ;;
  *.absent) echo "ok 1 $2 # SKIP there is none" ;;
  *.killed) kill -KILL $$ ;;
  *.endless) set -m; sleep 1000 & wait ;;
  *) echo "ok 1 $2" ;;
esac
"""

HEADER = """enum {
	IOMMU_TEST_OP_FIRST = 1,
	IOMMU_TEST_OP_SECOND,
};
"""


class RunTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "drivers/iommu/iommufd").mkdir(parents=True)
        (self.folder / "drivers/iommu/iommufd/iommufd_test.h").write_text(HEADER)
        (self.folder / "listing").write_text(LISTING)
        self.program("iommufd", PROGRAM)
        self.program("iommufd_fail_nth", "#!/bin/bash\n")

    def program(self, name, text):
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def run_tests(self, *options):
        command = [verdicts.HERE / "run.py", "--seconds", "2", *options, self.folder]
        return results.parse(subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout)

    def test_one_that_crashes_or_hangs_does_not_hide_others(self):
        begin = time.monotonic()
        table = self.run_tests("--only", "/plain.")
        self.assertLess(time.monotonic() - begin, 30)
        outcomes = {name.partition(".")[2]: result[::2] for name, result in table.items()}
        self.assertEqual(
            outcomes,
            {
                "good": ("passed", ""),
                "bad": ("failed", "a.c:7:bad:Expected 0 (0) == 1 (1)"),
                "absent": ("skipped", "there is none"),
                "killed": ("failed", "it says nothing"),
                "endless": ("failed", "not ended after 2 s; it says nothing"),
            },
        )

    def test_every_variant_has_every_test(self):
        names = list(self.run_tests("--only", "long_name"))
        variants = ("first", "second", "third")
        start = "iommufd/a_fixture_with_a_long_name"
        self.assertEqual(names, [f"{start}.{v}.{t}" for v in variants for t in ("one", "two")])

    def test_what_is_left_out_is_not_run(self):
        reasons = self.folder / "left_out"
        reasons.write_text("# A comment.\n*.endless  # it takes long\n")
        table = self.run_tests("--leave-out", reasons, "--only", "endless")
        result = table["iommufd/plain.endless"]
        self.assertEqual((result.outcome, result.why), ("skipped", "left out: it takes long"))


def table_of(**outcomes):
    """A table of tests with these outcomes."""
    return {f"p/{name}": results.Result(outcome, (), "") for name, outcome in outcomes.items()}


class VerdictsTest(unittest.TestCase):
    KERNEL = table_of(alike="passed", bad="failed", other="passed")

    def outcomes(self, shim, expected):
        found = verdicts.beside_kernel(shim, self.KERNEL, results.Reasons(expected))
        return {verdict.name: verdict.outcome for verdict in found}

    def test_what_differs_from_the_kernel_is_a_failure_unless_expected(self):
        shim = table_of(alike="passed", bad="failed", other="failed")
        wanted = {"p/alike": "passed", "p/bad": "skipped", "p/other": "failed"}
        self.assertEqual(self.outcomes(shim, ""), wanted)
        self.assertEqual(self.outcomes(shim, "p/oth*  # why"), {**wanted, "p/other": "skipped"})

    def test_what_is_expected_to_differ_and_does_not_is_a_failure(self):
        shim = self.KERNEL
        self.assertEqual(self.outcomes(shim, "p/other  # why")["p/other"], "failed")

    def test_a_test_that_only_one_has_is_a_failure(self):
        shim = table_of(alike="passed", bad="failed", new="passed")
        found = self.outcomes(shim, "")
        self.assertEqual((found["p/other"], found["p/new"]), ("failed", "failed"))

    def test_operations_that_are_not_those_recorded_are_a_failure(self):
        now = {"p/a": results.Result("passed", ("SECOND",), "")}
        before = {"p/a": results.Result("passed", (), "why it was is no matter")}
        self.assertEqual([v.outcome for v in verdicts.beside_recording(now, before)], ["failed"])
        self.assertEqual([v.outcome for v in verdicts.beside_recording(now, now)], ["passed"])

    def test_the_summary_comes_last(self):
        output = io.StringIO()
        found = [verdicts.Verdict(name, "skipped", "why") for name in "ab"]
        with contextlib.redirect_stdout(output), self.assertRaises(SystemExit) as end:
            verdicts.finish(found + [verdicts.Verdict("c", "failed", "because")])
        wanted = "failed: c: because\nskipped: a and 1 others: why\n0 passed, 1 failed, 2 skipped\n"
        self.assertEqual((output.getvalue(), end.exception.code), (wanted, True))


if __name__ == "__main__":
    verdicts.harness.main()
