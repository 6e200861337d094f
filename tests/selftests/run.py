#!/usr/bin/env python3
"""Runs the kernel's own tests of iommufd, each in a process of its own, and prints a table of them.

Usage: run.py [OPTION...] FOLDER
  FOLDER           what `build` printed
  --note LIBRARY   libnote_ops.so, which sees what the tests ask the test device for
  --under LIBRARY  another library to run them under
  --fail LIBRARY   libfail_nth.so, by which iommufd_fail_nth has allocations of that library fail;
                   where none does the test has failed
  --leave-out FILE names of tests that are not run, with reasons
  --only TEXT      only tests with this in their names
  --seconds N      how long a test may take (default 60; most that hang end themselves after 30)
  --times          say on standard error how long each test took

The table is in the form that results.py reads.
"""

import argparse
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

import results

PROGRAMS = ("iommufd", "iommufd_fail_nth")

# What the test harness prints of a test beside why it fails.
PROGRESS = re.compile(
    r"TAP version|1\.\.|(not )?ok |# +(RUN|OK|FAIL|Starting|PASSED:|FAILED:|Totals:)|$"
)


def test_names(listing):
    """The names of all tests in what a program prints for -l: the product of two columns."""
    names = []
    for block in re.split(r"^-+\n", listing, flags=re.MULTILINE)[1:]:
        fixture = block.split(maxsplit=1)[0]
        variants, tests = [], []
        for number, line in enumerate(block.splitlines()):
            rest = line[max(20, len(fixture) if number == 0 else 0) + 1 :]
            variant, test = re.fullmatch(r"(\S*)\s+(\S*)", rest).groups()
            variants += [variant + "."] if variant else []
            tests += [test] if test else []
        names += [f"{fixture}.{variant}{test}" for variant in variants or [""] for test in tests]
    return names


def operation_names(folder):
    """The names of IOMMU_TEST_CMD's operations by number."""
    header = (folder / "drivers/iommu/iommufd/iommufd_test.h").read_text(encoding="utf-8")
    names = re.findall(r"^\s*IOMMU_TEST_OP_(\w+)(?: = 1)?,$", header, re.MULTILINE)
    return dict(enumerate(names, start=1))


def end_session(leader):
    """Kills every process of a session: a test is in a process group of its own."""
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
            if int(fields[3]) == leader:
                os.kill(int(path.parent.name), signal.SIGKILL)
        except (OSError, IndexError):
            pass  # it has ended


def output_of(command, environment, seconds):
    """What a command prints, and whether it ended in time."""
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            return process.communicate(timeout=seconds)[0], True
        except subprocess.TimeoutExpired:
            end_session(process.pid)
            return process.communicate()[0], False


def outcome(output):
    """The outcome of one test and what explains it."""
    line = re.search(r"^(ok|not ok) 1 [^#\n]*(?:# *(\w*) *(.*))?$", output, re.MULTILINE)
    if line and line[1] == "ok":
        return ("skipped", line[3]) if line[2] == "SKIP" else ("passed", "")
    lines = [text for text in output.splitlines() if not PROGRESS.match(text)]
    why = re.sub(r"^#\s*", "", lines[0]) if lines else "it says nothing"
    return "failed", why


class Runner:
    """Runs single tests of the programs in a folder."""

    def __init__(self, arguments, scratch):
        self.folder = arguments.folder
        self.notes = scratch / "notes"
        self.operations = operation_names(arguments.folder)
        wanted = (arguments.note, arguments.fail, arguments.under)
        libraries = [library for library in wanted if library]
        self.seconds = arguments.seconds
        self.environment = {**os.environ, "NOTED_OPS": str(self.notes)}
        self.fail_nth = scratch / "fail-nth" if arguments.fail else None
        if self.fail_nth:
            # What the program looks for before it believes that allocations can fail.
            (scratch / "failslab").mkdir()
            (scratch / "failslab" / "ignore-gfp-wait").touch()
            self.environment["FAIL_NTH"] = str(scratch)
        if libraries:
            self.environment["LD_PRELOAD"] = ":".join(map(os.path.abspath, libraries))

    def tests(self):
        """(program, name) of every test."""
        for program in PROGRAMS:
            listing = subprocess.run(
                [self.folder / program, "-l"], stderr=subprocess.PIPE, text=True, check=False
            ).stderr
            for name in test_names(listing):
                yield program, name

    def noted(self):
        bits = struct.unpack("Q", self.notes.read_bytes())[0]
        numbers = (number for number in range(64) if bits >> number & 1)
        return tuple(self.operations.get(number, str(number)) for number in numbers)

    def run(self, program, name):
        self.notes.write_bytes(bytes(8))
        if self.fail_nth:
            self.fail_nth.write_bytes(bytes(8))
        command = [self.folder / program, "-r", name]
        output, ended = output_of(command, self.environment, self.seconds)
        what, why = outcome(output)
        if not ended:
            what, why = "failed", f"not ended after {self.seconds:g} s; {why}"
        if program == "iommufd_fail_nth" and self.fail_nth and what == "passed":
            failures = struct.unpack("II", self.fail_nth.read_bytes())[1]
            print(f"{failures} allocations failed in {name}", file=sys.stderr)
            if not failures:
                what, why = "failed", "no allocation failed"
        return results.Result(what, self.noted(), why)


def parse_arguments():
    parser = argparse.ArgumentParser(usage=__doc__.partition("Usage: ")[2])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--note")
    parser.add_argument("--under")
    parser.add_argument("--fail")
    parser.add_argument("--leave-out", type=pathlib.Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--times", action="store_true")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    left_out = results.Reasons.read(arguments.leave_out) if arguments.leave_out else None
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(arguments, pathlib.Path(folder))
        for program, test in runner.tests():
            name = f"{program}/{test}"
            if arguments.only not in name:
                continue
            begin = time.monotonic()
            reason = left_out and left_out.of(name)
            result = results.left_out(reason) if reason else runner.run(program, test)
            print(results.line(name, result), flush=True)
            if arguments.times:
                print(f"{time.monotonic() - begin:7.2f} s {name}", file=sys.stderr)


if __name__ == "__main__":
    main()
