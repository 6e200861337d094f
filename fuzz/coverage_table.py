#!/usr/bin/env python3
"""Sums up by folder what llvm-cov counted: fuzz/coverage's last step.

Usage: coverage_table.py CHECKOUT SUMMARY
"""

import json
import pathlib
import sys

# What is named separately: its name, the folders it takes in with those below, and those it does
# not. Of the first four 95 % are to be run.
AREAS = [
    ("compat/decode", ["compat/decode"], []),
    ("compat/type1", ["compat/type1"], []),
    ("ppc", ["ppc"], []),
    ("ioas without ioas/kernel", ["ioas"], ["ioas/kernel"]),
    ("all four", ["compat/decode", "compat/type1", "ppc", "ioas"], ["ioas/kernel"]),
    ("compat, ioas and ppc", ["compat", "ioas", "ppc"], []),
]
ROOTS = ("compat", "ioas", "ppc")
# No part of the product.
NOT_COUNTED = ("benchmarks", "testing")


def is_counted(path):
    """Whether a source, relative to the checkout, is the product's."""
    parts = pathlib.PurePosixPath(path).parts
    name = parts[-1]
    if parts[0] not in ROOTS or any(part in NOT_COUNTED for part in parts):
        return False
    return not any(mark in name for mark in ("_test.", "test_", "fixture", "fake_"))


def relative(filename, checkout):
    """The path in the checkout of a file as the compiler named it; None if it is outside."""
    for start in ("/proc/self/cwd/", str(checkout) + "/"):
        if filename.startswith(start):
            filename = filename[len(start):]
    filename = filename.removeprefix("./")
    return None if filename.startswith("/") else filename


def read(summary, checkout):
    """Lines of each source: how many were run, how many there are."""
    lines = {}
    for entry in json.loads(summary)["data"][0]["files"]:
        path = relative(entry["filename"], checkout)
        if path and is_counted(path):
            count = entry["summary"]["lines"]
            lines[path] = (count["covered"], count["count"])
    return lines


def percentage(lines, inside):
    """'71.3 %  1234 of 1731' for the sources that `inside` chooses."""
    chosen = [count for path, count in lines.items() if inside(path)]
    run, all_lines = sum(c[0] for c in chosen), sum(c[1] for c in chosen)
    share = 100 * run / all_lines if all_lines else 0
    return f"{share:5.1f} %  {run:6} of {all_lines:6} lines"


def is_below(path, folders):
    return any(path.startswith(folder + "/") for folder in folders)


def table(lines):
    """The rows to print: folders, then the areas."""
    folders = sorted({str(pathlib.PurePosixPath(path).parent) for path in lines})
    rows = [(folder, percentage(lines, lambda path, f=folder: str(
        pathlib.PurePosixPath(path).parent) == f)) for folder in folders]
    rows.append(("", ""))
    for name, taken, left_out in AREAS:
        rows.append((name, percentage(
            lines, lambda path, t=taken, o=left_out: is_below(path, t) and not is_below(path, o))))
    return rows


def unlinked(lines, checkout):
    """The product's sources that no target has."""
    sources = (str(path.relative_to(checkout)) for root in ROOTS
               for path in (checkout / root).rglob("*.cc"))
    return sorted(path for path in sources if is_counted(path) and path not in lines)


def main(arguments):
    if len(arguments) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    checkout = pathlib.Path(arguments[0])
    lines = read(pathlib.Path(arguments[1]).read_text(encoding="utf-8"), checkout)
    if not lines:
        print("coverage_table.py: no source of the product was counted", file=sys.stderr)
        return 1
    for name, text in table(lines):
        print(f"{name:32} {text}".rstrip())
    missing = unlinked(lines, checkout)
    print(f"\nNo target is linked with {len(missing)} other sources:")
    for path in missing:
        print(f"  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
