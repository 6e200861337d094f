#!/usr/bin/env python3
"""The kernel's own tests of iommufd do on a real kernel what kernel.txt says, bare, in the guest.

Usage: kernel_test.py [--record]
  --record  write kernel.txt, outside Bazel
"""

import pathlib
import sys

import results
import verdicts

# An IOMMU's driver would take the mock devices for its own (iommu_ops_from_fwnode finds the first
# that is registered), and refuse them.
NO_IOMMU = ("--append", "intel_iommu=off")

HEADING = """# What the kernel's own tests of iommufd do on a real kernel, by kernel_test.py --record: those
# of linux-source-6.12 {version}.
# PROGRAM/NAME OUTCOME OPERATIONS_OF_IOMMU_TEST_CMD  # WHY
"""


def run_in_guest(command):
    """The table that the guest prints, as text."""
    result = verdicts.in_guest(command, *NO_IOMMU)
    if result.returncode:
        sys.exit(f"status {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result.stdout


def record(folder, table):
    version = pathlib.Path(folder, "version").read_text(encoding="utf-8").strip()
    lines = [results.line(name, result) for name, result in table.items()]
    text = HEADING.format(version=version) + "\n".join(lines) + "\n"
    (verdicts.HERE / "kernel.txt").write_text(text, encoding="utf-8")


def main():
    command = verdicts.run_command("--leave-out", verdicts.HERE / "left_out.txt")
    output = run_in_guest(command)
    print(output)
    table = results.parse(output)
    print(*results.counts(table), sep="\n")
    if "--record" in sys.argv[1:]:
        record(command[-1], table)
    verdicts.finish(list(verdicts.beside_recording(table, verdicts.chosen_of(verdicts.recorded()))))


if __name__ == "__main__":
    main()
