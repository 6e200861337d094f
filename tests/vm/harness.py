"""For tests that run jobs in the guest: booting it, skipping where that cannot be, the summary."""

import os
import pathlib
import pwd
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
LACKING = 77


def environment():
    """This process's environment with the user's own home, which Bazel hides from tests."""
    return {**os.environ, "HOME": pwd.getpwuid(os.getuid()).pw_dir}


def guest(kernel, *job, options=(), text=True):
    """Boots a kernel and runs a job. Skips the test if this machine cannot."""
    command = [HERE / "boot", *options, kernel, *job]
    result = subprocess.run(command, capture_output=True, text=text, env=environment(), check=False)
    if result.returncode == LACKING:
        raise unittest.SkipTest(str(result.stderr).strip())
    return result


def shell(kernel, script, options=()):
    """Boots a kernel and runs a shell script that has guest/lib.sh."""
    return guest(kernel, "bash", "-c", f'. "$VM_LIB"\n{script}', options=options)


def play(kernel, folder, *vconf, options=()):
    """Runs the conformance scripts of a folder on an e1000e; returns each one's lines by name."""
    job = ("bash", HERE / "conformance_job.sh", folder, *vconf)
    result = guest(kernel, *job, options=("--e1000e", *options))
    if result.returncode:
        raise AssertionError(f"status {result.returncode}\n{result.stdout}\n{result.stderr}")
    answers = {}
    for line in result.stdout.splitlines():
        if line.startswith("@@ "):
            lines = answers.setdefault(line[3:], [])
        else:
            lines.append(line)
    return answers


def main():
    """Runs the tests of the calling module. The last line is the summary that tools/test reads."""
    result = unittest.main(argv=sys.argv[:1], verbosity=2, exit=False).result
    for test, reason in result.skipped:
        print(f"skipped: {test}: {reason}")
    failed = len(result.failures) + len(result.errors)
    skipped = len(result.skipped)
    passed = result.testsRun - failed - skipped
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed > 0)
