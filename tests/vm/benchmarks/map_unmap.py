#!/usr/bin/env python3
"""Prints a table of what MAP and UNMAP cost in the guest.

On the kernel without groups: through the library, and directly, in turns within one process; so the
ratio compares like with like. On the legacy kernel and on the one with iommufd's own compatibility
code: without the library. These are other boots, of which each kernel gets several in turn; the
table has the median boot's figures, and the least and greatest of the boots' in brackets.
"""

import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # pylint: disable=wrong-import-position

LEGACY_JOB = """
  vm_bind $VM_DEVICES
  exec "$0" $(vm_group $VM_DEVICES) $VM_DEVICES
"""
LIBRARY_JOB = """
  vm_bind $VM_DEVICES
  library=$1
  set -- $VM_DEVICES
  node=$(vm_cdev $2)
  export VFIO_COMPAT_BACKEND=kernel LD_PRELOAD=$library
  exec "$0" $(vm_group $1) $1 ${node##*vfio}
"""
UNITS = {4096: "4 KiB", 65536: "64 KiB", 2 << 20: "2 MiB", 64 << 20: "64 MiB"}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("program", type=pathlib.Path, help="map_unmap")
    parser.add_argument("library", type=pathlib.Path, help="libvfio_compat.so")
    parser.add_argument("--boots", type=int, default=3, help="of each kernel; default 3")
    return parser.parse_args()


def measure(kernel, ports, job, *arguments):
    """Boots once; returns the figures of each line by (size, live mappings)."""
    script = f'. "$VM_LIB"\n{job}'
    options = ("--e1000e",) * ports
    result = harness.guest(kernel, "bash", "-c", script, *arguments, options=options)
    if result.returncode:
        sys.exit(f"{kernel}: status {result.returncode}\n{result.stdout}{result.stderr}")
    lines = [line.split() for line in result.stdout.splitlines()]
    return {(int(size), int(live)): [float(f) for f in rest] for size, live, *rest in lines}


def in_microseconds(figures, times):
    """Converts the first figures of each line, which are times."""
    return {key: [f / 1000 for f in row[:times]] + row[times:] for key, row in figures.items()}


def column(boots, key, index, form):
    """The median of the boots, and their range."""
    values = [boot[key][index] for boot in boots]
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}}-{high:{form}})"


def print_table(library, legacy, compat):
    """Prints what the boots of each kernel gave."""
    titles = ("size", "live", "library/direct", "half of the ratios of the last boot")
    titles += ("direct us", "library us", "legacy us", "compat us")
    print("|", " | ".join(titles), "|")
    print("|", " | ".join(["---"] * len(titles)), "|")
    for key in library[0]:
        size, live = key
        ratio = column(library, key, 2, ".2f")
        half = f"{library[-1][key][3]:.2f}-{library[-1][key][4]:.2f}"
        times = [column(library, key, 1, ".1f"), column(library, key, 0, ".1f")]
        times += [column(boots, key, 0, ".1f") for boots in (legacy, compat)]
        print("|", " | ".join([UNITS[size], f"{live:,}", ratio, half, *times]), "|")


def main():
    arguments = parse_arguments()
    program, path = (str(file.resolve()) for file in (arguments.program, arguments.library))
    library, legacy, compat = [], [], []
    for _ in range(arguments.boots):
        library.append(in_microseconds(measure("iommufd", 2, LIBRARY_JOB, program, path), 2))
        legacy.append(in_microseconds(measure("legacy", 1, LEGACY_JOB, program), 1))
        compat.append(in_microseconds(measure("compat", 1, LEGACY_JOB, program), 1))
    print_table(library, legacy, compat)


if __name__ == "__main__":
    main()
