#!/usr/bin/env python3
"""A job: a guest within the guest has two disks assigned to it.

Its BIOS has to find them, and its kernel to read them; one is unplugged and plugged in again.

Usage: assigned_job.py KERNEL_IMAGE [PREFIX...]
"""

import json
import pathlib
import socket
import sys

import interactive
from devices import DEVICES, vm

HERE = pathlib.Path(__file__).resolve().parent
BIOS_LOG = pathlib.Path("/run/bios.log")
MONITOR = "/run/monitor"
PATIENCE = 900  # seconds: an emulated machine that emulates another is slow
FIRST, SECOND = DEVICES
KERNEL_OPTIONS = (
    "root=host rootfstype=9p rootflags=trans=virtio,version=9p2000.L,msize=262144,cache=loose ro "
    f"init={HERE}/nested_init console=ttyS0 quiet panic=-1 oops=panic"
)


def qemu_command(kernel):
    # Not KVM: where hardware that emulates virtualization is emulated itself, it loses interrupts.
    return [
        *("qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-cpu", "max", "-m", "256"),
        *("-nodefaults", "-display", "none", "-serial", "stdio"),
        *("-debugcon", f"file:{BIOS_LOG}", "-global", "isa-debugcon.iobase=0x402"),
        *("-qmp", f"unix:{MONITOR},server=on,wait=off"),
        *("-kernel", kernel, "-append", KERNEL_OPTIONS),
        *("-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
        *("-device", "pcie-root-port,id=port1,chassis=1"),
        *("-device", "pcie-root-port,id=port2,chassis=2"),
        *("-device", f"vfio-pci,host={FIRST},id=first,bus=port1"),
        *("-device", f"vfio-pci,host={SECOND},id=second,bus=port2"),
    ]


class Monitor:
    """QEMU's monitor."""

    def __init__(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(MONITOR)
        self._stream = connection.makefile("rw")
        self.run("qmp_capabilities")

    def run(self, command, **arguments):
        """Runs a command; ends the job if it fails."""
        json.dump({"execute": command, "arguments": arguments}, self._stream)
        self._stream.flush()
        answer = self._receive("return", "error")
        print(f"monitor: {command} {arguments}: {answer}", flush=True)
        if "error" in answer:
            sys.exit(f"QEMU refused {command}")

    def wait_for_deletion(self, device):
        """Waits until the guest has let go of a device."""
        while self._receive("event").get("data", {}).get("device") != device:
            pass

    def _receive(self, *kinds):
        """The next message of one of these kinds."""
        for line in self._stream:
            message = json.loads(line)
            if any(kind in message for kind in kinds):
                return message
        sys.exit("QEMU closed its monitor")


def checksum(guest, disk):
    """Has the guest print a disk's checksum."""
    guest.ask(f"checksum {disk}", f"^checksum of {disk}: [0-9a-f]{{64}} ", PATIENCE)


def main():
    kernel, *prefix = sys.argv[1:]
    vm("vm_bind", *DEVICES)
    guest = interactive.Program("guest", [*prefix, *qemu_command(kernel)])
    guest.expect("^ready for commands", limit=PATIENCE)
    print(BIOS_LOG.read_text(encoding="utf-8", errors="replace"))
    checksum(guest, "first")
    checksum(guest, "second")

    monitor = Monitor()
    monitor.run("device_del", id="second")
    monitor.wait_for_deletion("second")
    guest.ask("gone second", "^second is gone", PATIENCE)
    checksum(guest, "first")

    monitor.run("device_add", driver="vfio-pci", host=SECOND, id="second", bus="port2")
    checksum(guest, "second")
    monitor.run("quit")
    sys.exit(guest.wait(PATIENCE))


if __name__ == "__main__":
    main()
