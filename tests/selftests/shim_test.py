#!/usr/bin/env python3
"""The kernel's own tests of iommufd do under the library as on a real kernel, on the software host.

kernel.txt says what that is, expected.txt which tests do something else, and why.
"""

import fnmatch
import os
import pathlib
import subprocess
import sys
import tempfile

import results
import verdicts
from verdicts import harness


def run_under_library():
    """The table of a run on the software host, which is there if it has a device."""
    library = harness.built("compat/preload/libvfio_compat_mock.so")
    failing = harness.built("tests/selftests/libfail_nth.so")
    with tempfile.NamedTemporaryFile() as disk:
        disk.truncate(1 << 20)
        device = f"nvme,addr=0000:00:05.0,image={disk.name}"
        result = subprocess.run(
            verdicts.run_command("--under", library, "--fail", failing),
            env={**os.environ, "VFIO_COMPAT_BACKEND": "soft", "VFIO_COMPAT_DEVICES": device},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return results.parse(result.stdout)


def print_counts(kernel, shim):
    print("on the kernel:", *results.counts(kernel), sep="\n  ")
    print("under the library:", *results.counts(shim), sep="\n  ")
    ran = {name: result for name, result in kernel.items() if result.operations}
    without = [name for name, result in ran.items() if not result.needs_operations()]
    passed = [name for name in without if name in shim and shim[name].outcome == "passed"]
    print(
        "under the library, of those that ask for IOMMU_TEST_CMD only to begin and end: "
        f"{len(passed)} of {len(without)} passed"
    )


def has_capability(number):
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    return bool(effective >> number & 1)


def lacking_here():
    """What the machine lacks, by patterns of the tests that need it."""
    cap_sys_resource = 24
    reasons = {}
    if not has_capability(cap_sys_resource):
        reasons["*/iommufd.global_options"] = "the user has no CAP_SYS_RESOURCE"
    if not int(pathlib.Path("/proc/sys/vm/nr_hugepages").read_text(encoding="ascii")):
        for pattern in (
            "*_hugepage.basic",
            "*_hugepage.all_aligns*",
            "*.huge_map",
            "*_huge.*",
            "*.access_domain_destory",
        ):
            reasons[pattern] = "the machine has no huge pages to give (vm.nr_hugepages)"
    return reasons


def excuse(found):
    """Skips what failed for want of something that the machine lacks."""
    reasons = lacking_here()
    for verdict in found:
        fitting = [why for name, why in reasons.items() if fnmatch.fnmatch(verdict.name, name)]
        if verdict.outcome == "failed" and fitting:
            verdict = verdicts.Verdict(verdict.name, "skipped", fitting[0])
        yield verdict


def main():
    kernel = verdicts.chosen_of(verdicts.recorded())
    expected = results.Reasons.read(verdicts.HERE / "expected.txt")
    shim = run_under_library()
    for name, result in shim.items():
        print(results.line(name, result))
    found = list(excuse(verdicts.beside_kernel(shim, kernel, expected)))
    if not os.environ.get("TESTBRIDGE_TEST_ONLY"):
        for pattern in sorted(expected.unused):
            found.append(verdicts.Verdict(pattern, "failed", "expected.txt names no test by this"))
    print_counts(kernel, shim)
    verdicts.finish(found)


if __name__ == "__main__":
    main()
