#!/usr/bin/env python3
"""Prints tables of what TCEs cost in the guest, through the library on the kernel without groups.

Each figure is the median of the boots', with the least and the greatest in brackets.
"""

import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # pylint: disable=wrong-import-position

JOB = """
  . "$VM_LIB"
  vm_bind $VM_DEVICES
  library=$1
  set -- $VM_DEVICES
  node=$(vm_cdev $3)
  export VFIO_COMPAT_BACKEND=kernel VFIO_COMPAT_CONTAINER=both LD_PRELOAD=$library
  exec "$0" $(vm_group $1) $1 $(vm_group $2) $2 ${node##*vfio}
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("program", type=pathlib.Path, help="map_tces")
    parser.add_argument("library", type=pathlib.Path, help="libvfio_compat.so")
    parser.add_argument("--boots", type=int, default=3, help="default 3")
    return parser.parse_args()


def measure(program, library):
    """Boots once; returns the figures of each line by its name and number."""
    options = ("--e1000e",) * 3
    result = harness.guest(
        "iommufd", "bash", "-c", JOB, program.resolve(), library.resolve(), options=options
    )
    if result.returncode:
        sys.exit(f"status {result.returncode}\n{result.stdout}{result.stderr}")
    lines = [line.split() for line in result.stdout.splitlines()]
    return {(name, int(number)): [float(f) for f in rest] for name, number, *rest in lines}


def cell(boots, key, index=0, scale=1.0, form=".1f"):
    """The median of the boots, and their range."""
    values = [boot[key][index] * scale for boot in boots]
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}}-{high:{form}})"


def print_row(*cells):
    print("|", " | ".join(cells), "|")


def print_tables(boots):
    print_row("MAP and UNMAP", "other pages", "TCEs us", "type 1 us", "ratio")
    print_row(*("---",) * 5)
    for name, pages in (("one", "1 page"), ("run", "512 pages")):
        for live in (number for kind, number in boots[0] if kind == name):
            times = [cell(boots, (name, live), i, 1e-3) for i in range(2)]
            print_row(pages, f"{live:,}", *times, cell(boots, (name, live), 2, form=".2f"))
    print()
    print_row("one page replaced", "other pages", "us")
    print_row(*("---",) * 3)
    for name, title in (("replace", "MAP"), ("cut", "cut"), ("rebuild", "built anew")):
        for pages in (number for kind, number in boots[0] if kind == name):
            print_row(title, f"{pages:,}", cell(boots, (name, pages), 0, 1e-3))
    print()
    print_row("the kernel's part, for a page", "us")
    print_row(*("---",) * 2)
    for name in ("copy", "cut", "map", "unmap"):
        print_row(name, cell(boots, (f"ioas_{name}", 1), 0, 1e-3))
    print(f"\nkernel memory: {cell(boots, ('kernel_memory', 1), form='.0f')} bytes a page")


def main():
    arguments = parse_arguments()
    boots = []
    for boot in range(arguments.boots):
        boots.append(measure(arguments.program, arguments.library))
        print(f"boot {boot + 1}: {boots[-1]}", file=sys.stderr, flush=True)
    print_tables(boots)


if __name__ == "__main__":
    main()
