#!/usr/bin/env python3
"""Prints a table of how many packets dpdk-testpmd forwards in the guest.

Each kernel is booted several times, in turns: the legacy one without the library, the one without
groups with it, as a client of type 1 and of SPAPR TCE containers. A boot counts its best stretch of
2 s. The table has the median boot, the least and the greatest, and the medians' ratio to the legacy
kernel's.
"""

import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import dpdk_test  # pylint: disable=wrong-import-position

RUNS = {
    "legacy kernel": ("legacy",),
    "library, type 1": ("iommufd",),
    "library, SPAPR TCE": ("iommufd", "--container=spapr"),
}


def packets(kernel, *options):
    return dpdk_test.figure(dpdk_test.run_job(kernel, "forwarding_job.py", *options))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--boots", type=int, default=5, help="of each kernel; default 5")
    boots = range(parser.parse_args().boots)
    counts = {name: [] for name in RUNS}
    for boot in boots:
        for name, run in RUNS.items():
            counts[name].append(packets(*run))
            print(f"boot {boot + 1}, {name}: {counts[name][-1]:,}", file=sys.stderr, flush=True)
    legacy = statistics.median(counts["legacy kernel"])
    print("| run | packets | least | greatest | of the legacy kernel's |")
    print("| --- | --- | --- | --- | --- |")
    for name, values in counts.items():
        median = statistics.median(values)
        row = [f"{value:,.0f}" for value in (median, min(values), max(values))]
        print("|", " | ".join([name, *row, f"{median / legacy:.2f}"]), "|")


if __name__ == "__main__":
    main()
