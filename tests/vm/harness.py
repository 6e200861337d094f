"""For tests that run jobs in the guest: booting it, skipping where that cannot be, the summary.

A real program runs as it is on the kernel that has groups, and under the preload library on
those that have none: `under(kernel)` is what goes before its command. Bazel's --test_filter chooses tests
by a part of their names.
"""

import os
import pathlib
import pwd
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
JOBS = HERE / "jobs"
LACKING = 77


def environment():
    """This process's environment with the user's own home, which Bazel hides from tests."""
    return {**os.environ, "HOME": pwd.getpwuid(os.getuid()).pw_dir}


def built(path):
    """What Bazel builds as `path`, which a test has among its data, or outside Bazel built last."""
    runfiles = os.environ.get("TEST_SRCDIR")
    if runfiles:
        return pathlib.Path(runfiles, os.environ["TEST_WORKSPACE"], path).resolve()
    return HERE.parent.parent / "bazel-bin" / path


def under(kernel, *options):
    """What goes before the command of a program that wants groups and containers.

    `options` are more options of `vfio-compat run`, where that is needed.
    """
    if kernel not in ("iommufd", "newest"):
        return []
    library = built("compat/preload/libvfio_compat.so")
    tool = built("tools/cli/vfio-compat")
    return ["env", f"VFIO_COMPAT_LIBRARY={library}", tool, "run", "--backend=kernel", *options, "--"]


def kernel_image(kernel):
    """The path of a guest kernel, to be booted in a guest. Skips the test if there can be none."""
    command = [HERE / "kernel", kernel]
    result = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    if result.returncode == LACKING:
        raise unittest.SkipTest(result.stderr.strip())
    return result.stdout.strip()


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


def run_job(kernel, name, *arguments, options=()):
    """Boots a kernel and runs a file of jobs/. Returns what it printed; fails if it fails."""
    interpreter = "python3" if name.endswith(".py") else "bash"
    result = guest(kernel, interpreter, JOBS / name, *arguments, options=options)
    if result.returncode:
        raise AssertionError(
            f"{name} ended on {kernel} with status {result.returncode}\n"
            f"{result.stdout}\n{result.stderr}"
        )
    return result.stdout


def answers_by_script(output):
    """The lines behind each line "@@ SCRIPT", by the script's name."""
    answers = {}
    for line in output.splitlines():
        if line.startswith("@@ "):
            lines = answers.setdefault(line[3:], [])
        else:
            lines.append(line)
    return answers


def play(kernel, scripts):
    """Runs conformance scripts on the first device; returns the lines of each one by its name.

    Prints what came on standard error.
    """
    arguments = [*scripts, "--", *under(kernel), built("tests/conformance/vconf")]
    output = run_job(kernel, "conformance_job.sh", *arguments, options=("--e1000e",))
    answers = answers_by_script(output)
    print("\n".join(answers.pop("errors")))
    return answers


def main():
    """Runs the tests of the calling module. The last line is the summary that tools/test reads."""
    chosen = os.environ.get("TESTBRIDGE_TEST_ONLY")
    arguments = [sys.argv[0], *(["-k", chosen] if chosen else [])]
    result = unittest.main(argv=arguments, verbosity=2, exit=False).result
    for test, reason in result.skipped:
        print(f"skipped: {test}: {reason}")
    failed = len(result.failures) + len(result.errors)
    skipped = len(result.skipped)
    passed = result.testsRun - failed - skipped
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed > 0)
