"""A pseries guest that has an NVMe controller assigned: its disk, its kernel, its QEMU.

The guest (`init`) reads the disk and writes to a part of it.
"""

import hashlib
import pathlib
import random
import shutil
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "power"))
import initrd  # pylint: disable=wrong-import-position
import power  # pylint: disable=wrong-import-position
from power import harness  # pylint: disable=wrong-import-position

QEMU = "qemu-system-ppc64"
DISK_SIZE = 8 << 20
WRITTEN = slice(2 << 20, 3 << 20)  # of the disk
# What QEMU says of its doings as a SPAPR client.
EVENTS = ("vfio_prereg_register", "vfio_spapr_create_window", "vfio_spapr_remove_window")


def make_disk(path):
    """Leaves a disk with random contents; returns them."""
    data = random.randbytes(DISK_SIZE)
    path.write_bytes(data)
    return data


def checksum(data):
    return hashlib.sha256(data).hexdigest()


def with_writes(data):
    """What the guest makes of a disk."""
    pattern = b"pseries\n" * ((WRITTEN.stop - WRITTEN.start) // len(b"pseries\n"))
    return data[: WRITTEN.start] + pattern + data[WRITTEN.stop :]


def make_guest(folder):
    """Leaves the guest's file system in a folder; returns QEMU's options for it and the kernel.

    Skips the test if this machine cannot.
    """
    for program in (QEMU, "cpio"):
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is missing")
    kernel = power.fetched()
    initrd.lay_out(kernel, HERE / "init", folder / "root")
    initrd.pack(folder / "root", folder / "initrd")
    return ["-kernel", kernel / "vmlinux", "-initrd", folder / "initrd"]


def qemu_command(device, *options):
    """QEMU with a device of the host's assigned; the guest's console is on standard output.

    The memory that could be plugged in is what tells the guest's kernel how large its windows have
    to be: without any it takes the size for 0 (ddw_memory_hotplug_max in
    arch/powerpc/platforms/pseries/iommu.c), and makes no window.
    """
    return [
        *(QEMU, "-accel", "tcg", "-machine", "pseries", "-smp", "1"),
        *("-m", "512M,slots=1,maxmem=1G", "-nodefaults", "-display", "none", "-no-reboot"),
        *("-chardev", "file,id=console,path=/dev/stdout", "-serial", "chardev:console"),
        *(word for event in EVENTS for word in ("-trace", event)),
        *("-append", "console=hvc0 quiet loglevel=1 panic=-1"),
        *("-device", f"vfio-pci,host={device}"),
        *options,
    ]
