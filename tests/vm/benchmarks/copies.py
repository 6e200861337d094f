#!/usr/bin/env python3
"""Prints a table of what a million pages cost in the guest: mapped again, and copied."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # pylint: disable=wrong-import-position

JOB = """
  . "$VM_LIB"
  vm_bind $VM_DEVICES
  set -- $VM_DEVICES
  first=$(vm_cdev $1) second=$(vm_cdev $2)
  exec "$0" ${first##*vfio} ${second##*vfio}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("program", type=pathlib.Path, help="copies")
    parser.add_argument("--kernel", default="iommufd", help="iommufd or newest")
    arguments = parser.parse_args()
    program = str(arguments.program.resolve())
    result = harness.guest(arguments.kernel, "bash", "-c", JOB, program, options=("--e1000e",) * 2)
    if result.returncode:
        sys.exit(f"status {result.returncode}\n{result.stdout}{result.stderr}")
    print("| mapped | memory | MAP s | COPY s | ratio | half of the ratios |")
    print("| --- | --- | --- | --- | --- | --- |")
    for line in result.stdout.splitlines():
        name, mapped, copied, ratio, low, high = line.split()
        way, memory = (part.replace("_", " ") for part in name.split(","))
        print(f"| {way} | {memory} | {mapped} | {copied} | {ratio} | {low}-{high} |")


if __name__ == "__main__":
    main()
