"""For tests that ask a real POWER kernel: playing scripts on it, skipping where that cannot be."""

import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import harness  # pylint: disable=wrong-import-position


def fetched():
    """The folder of the kernel and what comes with it; skips the test if it cannot be had."""
    result = subprocess.run(
        [HERE / "fetch"], stdout=subprocess.PIPE, text=True, env=harness.environment(), check=False
    )
    if result.returncode == harness.LACKING:
        raise unittest.SkipTest("there is no POWER kernel")
    result.check_returncode()
    return pathlib.Path(result.stdout.strip())


def run_play(*arguments):
    """Runs tests/vm/power/play; skips the test if this machine cannot."""
    result = subprocess.run(
        [HERE / "play", *arguments],
        capture_output=True,
        text=True,
        env=harness.environment(),
        check=False,
    )
    if result.returncode == harness.LACKING:
        raise unittest.SkipTest(result.stderr.strip())
    return result


def play(scripts):
    """Plays scripts in one boot; returns the lines of each one by its name."""
    result = run_play(*scripts)
    if result.returncode:
        raise AssertionError(f"play ended with status {result.returncode}\n{result.stderr}")
    return harness.answers_by_script(result.stdout)
