"""What a table of outcomes is worth beside a recorded one, and what a test prints of it."""

import collections
import os
import pathlib
import subprocess
import sys
import typing
import unittest

import results

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vm"))
import harness  # pylint: disable=wrong-import-position


class Verdict(typing.NamedTuple):
    name: str
    outcome: str  # passed, failed or skipped
    reason: str


def recorded():
    """What the kernel did."""
    return results.parse((HERE / "kernel.txt").read_text(encoding="utf-8"))


def built_folder():
    """Where the kernel's tests are. Ends this test as skipped where they cannot be built."""
    result = subprocess.run(
        [HERE / "build"], capture_output=True, text=True, env=harness.environment(), check=False
    )
    if result.returncode == harness.LACKING:
        give_up(result.stderr.strip())
    if result.returncode:
        sys.exit(result.stderr)
    return result.stdout.strip()


def run_command(*options):
    """The command that runs the kernel's tests, those that Bazel's --test_filter chooses."""
    chosen = os.environ.get("TESTBRIDGE_TEST_ONLY", "")
    note = harness.built("tests/selftests/libnote_ops.so")
    command = ["python3", HERE / "run.py", "--times", "--note", note, "--only", chosen]
    return [*map(str, command), *map(str, options), built_folder()]


def in_guest(command, *options):
    """What a command did in the guest, with huge pages. Ends this test where there is no guest."""
    # The tests of dirty tracking map up to 64 huge pages.
    options = ("--hugepages", "80", "--time", "1800", *options)
    try:
        return harness.guest("iommufd", *command, options=options)
    except unittest.SkipTest as reason:
        return give_up(str(reason))


def chosen_of(table):
    """The part of a table that run_command's tests are."""
    chosen = os.environ.get("TESTBRIDGE_TEST_ONLY", "")
    return {name: result for name, result in table.items() if chosen in name}


def differing(names, others):
    """Verdicts on tests that one of two tables lacks."""
    for name in sorted(set(names) ^ set(others)):
        where = "was not run" if name in others else "is not in kernel.txt"
        yield Verdict(name, "failed", f"it {where}")


def beside_recording(now, kernel):
    """Verdicts on a run on the kernel: it has to be as recorded, operations included."""
    yield from differing(now, kernel)
    for name in [name for name in now if name in kernel]:
        result, before = now[name], kernel[name]
        if (result.outcome, result.operations) != (before.outcome, before.operations):
            line = results.line(name, before)
            yield Verdict(name, "failed", f"{results.line('it', result)}; recorded: {line}")
        elif result.is_left_out():
            yield Verdict(name, "skipped", result.why)
        else:
            yield Verdict(name, "passed", "")


def beside_kernel(shim, kernel, expected):
    """Verdicts on a run under the library: as the kernel, but for what is expected not to be."""
    yield from differing(shim, kernel)
    for name in [name for name in shim if name in kernel]:
        yield on_one(name, shim[name], kernel[name], expected.of(name))


def on_one(name, result, before, reason):
    wanted = "passed" if before.is_left_out() else before.outcome
    if result.outcome != wanted:
        if reason:
            return Verdict(name, "skipped", reason)
        why = f"{result.outcome}, and {wanted} on the kernel: {result.why}"
        return Verdict(name, "failed", why)
    if wanted != "passed":
        return Verdict(name, "skipped", f"{wanted} as on the kernel")
    if reason:
        return Verdict(name, "failed", f"it passed, and was not expected to: {reason}")
    return Verdict(name, "passed", "")


def give_up(reason):
    finish([Verdict("all of them", "skipped", reason)])


def finish(found):
    """Prints what did not pass, those skipped for one reason together, and the summary; ends."""
    skipped = collections.defaultdict(list)
    for verdict in found:
        if verdict.outcome == "skipped":
            skipped[verdict.reason].append(verdict.name)
        elif verdict.outcome == "failed":
            print(f"failed: {verdict.name}: {verdict.reason}")
    for reason, names in skipped.items():
        others = f" and {len(names) - 1} others" if len(names) > 1 else ""
        print(f"skipped: {names[0]}{others}: {reason}")
    count = collections.Counter(verdict.outcome for verdict in found)
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    sys.exit(count["failed"] > 0)
