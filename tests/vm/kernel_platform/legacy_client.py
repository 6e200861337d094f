#!/usr/bin/env python3
"""A legacy program that opens, shares, kills and closes, and prints every answer.

Usage: legacy_client.py DEVICE FUNCTION OTHER_FUNCTION BEHIND_BRIDGE

DEVICE is alone in its group; the functions are one multifunction device behind a root port, and so
in one group; the last one is alone behind a bridge. All of them are on vfio-pci. The answers do not
depend on numbers that differ from machine to machine, so that those of two kernels can be compared.
"""

import array
import os
import socket
import subprocess
import sys
import traceback

import vfio
from steps import Child, close, holder, is_free, opened, say

LOW = 0x100000
HIGH = 0x40000000
SELF = os.path.abspath(__file__)


# --- Orders ---


def container_closed_first(address, *_):
    container, group, device = holder(address)
    say("map", vfio.map_dma(container, LOW))
    close(container)
    say("status", vfio.status(group))
    say("device", vfio.device_info(device))
    opened("once more", again := vfio.get_device(group, address))
    say("unset", vfio.unset_container(group))
    close(device, again)
    opened("after the last", device := vfio.get_device(group, address))
    if isinstance(device, int):
        close(device)
    say("unset", vfio.unset_container(group))
    close(group)
    is_free(address)


def group_closed_before_the_device(address, *_):
    container, group, device = holder(address)
    close(group)
    say("device", vfio.device_info(device))
    say("map", vfio.map_dma(container, LOW))
    say("group", vfio.open_group(address))
    close(device)
    say("map", vfio.map_dma(container, HIGH))
    close(container)
    is_free(address)


def another_container(address, *_):
    container, group, device = holder(address)
    say("unset", vfio.unset_container(group))
    say("map", vfio.map_dma(container, LOW, 4))
    close(device)
    say("unset", vfio.unset_container(group))
    say("map", vfio.map_dma(container, HIGH))
    other = vfio.open_container()
    say("set", vfio.set_container(group, other))
    say("again", vfio.set_container(group, container))
    say("iommu", vfio.set_iommu(other, vfio.TYPE1))
    say("map", vfio.map_dma(other, LOW, 4))
    say("unmap", vfio.unmap_dma(other, LOW, 4))
    opened("device", device := vfio.get_device(group, address))
    say("info", vfio.device_info(device))
    close(device, group)
    say("group", isinstance(group := vfio.open_group(address), int))
    say("set", vfio.set_container(group, container))
    say("iommu", vfio.set_iommu(container))
    say("unmap", vfio.unmap_dma(container, LOW, 4))
    close(other, container, group)
    is_free(address)


def many_descriptors(address, *_):
    container, group, device = holder(address)
    devices = [vfio.get_device(group, address) for _ in range(50)]
    say("devices", sum(isinstance(fd, int) for fd in devices))
    say("distinct", len({device, *devices}))
    close(device, *devices[1:])
    say("unset", vfio.unset_container(group))
    say("info", vfio.device_info(devices[0]))
    close(devices[0])
    say("unset", vfio.unset_container(group))
    close(container, group)


def last_close_disables(address, *_):
    container, group, device = holder(address)
    duplicate = vfio.get_device(group, address)
    say("set", vfio.set_bus_master(device))
    say("seen", (vfio.command(duplicate) & 4, vfio.is_bus_master(address)))
    close(device)
    say("one closed", vfio.is_bus_master(address))
    close(duplicate)
    say("both closed", vfio.is_bus_master(address))
    opened("device", device := vfio.get_device(group, address))
    say("command", vfio.command(device) & 4)
    close(container, group, device)


# --- Several processes ---


def child_opens_and_maps(address, *_):
    container = vfio.open_container()
    group = vfio.open_group(address)
    say("set", (vfio.set_container(group, container), vfio.set_iommu(container)))

    def body():
        opened("device", vfio.get_device(group, address))
        say("map", vfio.map_dma(container, LOW, 2))

    child = Child(body)
    say("overlap", vfio.map_dma(container, LOW))
    say("unset", vfio.unset_container(group))
    child.kill()
    say("overlap", vfio.map_dma(container, LOW))
    say("unmap", vfio.unmap_dma(container, LOW, 2))
    say("unset", vfio.unset_container(group))
    close(container, group)
    is_free(address)


def closed_in_one_process(address, *_):
    container, group, device = holder(address)
    say("bus master", vfio.set_bus_master(device))

    def body():
        close(container)

    child = Child(body)
    close(device)
    say("still there", vfio.is_bus_master(address))
    say("unset", vfio.unset_container(group))
    say("map", vfio.map_dma(container, LOW))
    close(group, container)
    say("group", vfio.open_group(address))
    child.end()
    say("disabled", vfio.is_bus_master(address))
    is_free(address)


def killed_anywhere(address, *_):
    for steps in range(7):
        child = Child(lambda count=steps: take_steps(address, count))
        if steps > 1:
            say("meanwhile", vfio.open_group(address))
        child.kill()
        is_free(address)


def take_steps(address, count):
    """The first `count` steps of a program; what they open stays open."""
    opened_fds = []
    steps = [
        lambda: opened_fds.append(vfio.open_container()),
        lambda: opened_fds.append(vfio.open_group(address)),
        lambda: vfio.set_container(opened_fds[1], opened_fds[0]),
        lambda: vfio.set_iommu(opened_fds[0]),
        lambda: vfio.map_dma(opened_fds[0], LOW, 16),
        lambda: vfio.get_device(opened_fds[1], address),
    ]
    for step in steps[:count]:
        step()


def use_received(address, container, group, device):
    """What an unrelated process does with descriptors that came to it."""
    say("theirs: info", (vfio.iommu_info(container), vfio.device_info(device)))
    say("theirs: map", vfio.map_dma(container, HIGH))
    say("theirs: overlap", vfio.map_dma(container, LOW))
    opened("theirs: device", own := vfio.get_device(group, address))
    say("theirs: command", (vfio.command(own) == vfio.command(device)))
    say("theirs: unmap", vfio.unmap_dma(container, LOW))
    say("theirs: status", vfio.status(group))
    say("theirs: group", vfio.open_group(address))


def other_program(*arguments, fds):
    sys.stdout.flush()
    return subprocess.Popen([sys.executable, SELF, *arguments], pass_fds=fds)


def sent_over_a_socket(address, *_):
    container, group, device = holder(address)
    say("map", vfio.map_dma(container, LOW))
    here, there = socket.socketpair()
    receiver = other_program("receive", address, str(there.fileno()), fds=[there.fileno()])
    there.close()
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [container, group, device]))
    here.sendmsg([b"x"], [rights])
    here.recv(1)
    say("unmap", (vfio.unmap_dma(container, LOW), vfio.unmap_dma(container, HIGH)))
    close(container, group, device)
    say("group", vfio.open_group(address))
    here.send(b"x")
    receiver.wait()
    is_free(address)


def receive(address, fd):
    there = socket.socket(fileno=int(fd))
    _, parts, _, _ = there.recvmsg(1, socket.CMSG_SPACE(12))
    use_received(address, *array.array("i", parts[0][2]))
    there.send(b"x")
    there.recv(1)


def inherited_through_exec(address, *_):
    container, group, device = holder(address)
    say("map", vfio.map_dma(container, LOW))
    fds = (container, group, device)
    other_program("inherit", address, *map(str, fds), fds=fds).wait()
    say("unmap", (vfio.unmap_dma(container, LOW), vfio.unmap_dma(container, HIGH)))
    close(device)
    say("unset", vfio.unset_container(group))
    close(container, group)


def inherit(address, *fds):
    use_received(address, *map(int, fds))


# --- Groups of several devices ---


def set_driver(address, driver):
    """Gives the device to a driver, or to none."""
    device = f"/sys/bus/pci/devices/{address}"
    if os.path.exists(f"{device}/driver"):
        with open(f"{device}/driver/unbind", "w", encoding="ascii") as unbind:
            unbind.write(address)
    if driver is None:
        return
    with open(f"{device}/driver_override", "w", encoding="ascii") as override:
        override.write(driver)
    with open("/sys/bus/pci/drivers_probe", "w", encoding="ascii") as probe:
        probe.write(address)


def two_devices_of_a_group(_, function, other, *__):
    container, group, device = holder(function)
    say("second open", vfio.open_group(other))
    opened("other", second := vfio.get_device(group, other))
    say("none", vfio.get_device(group, "0000:00:1f.7"))
    close(device)
    say("unset", vfio.unset_container(group))
    close(second)
    say("unset", vfio.unset_container(group))
    close(container, group)
    is_free(other)


def not_viable(_, function, other, *__):
    set_driver(other, "e1000e")
    container = vfio.open_container()
    opened("group", group := vfio.open_group(function))
    say("status", vfio.status(group))
    say("set", vfio.set_container(group, container))
    say("device", vfio.get_device(group, function))
    say("other", vfio.get_device(group, other))
    close(group)
    set_driver(other, "vfio-pci")
    opened("group", group := vfio.open_group(function))
    say("status", vfio.status(group))
    close(container, group)
    is_free(function)


def one_device_left(_, function, other, *__):
    """A group that had two devices on vfio-pci when it was open before has one now."""
    close(*holder(function))
    set_driver(other, None)
    container, group, device = holder(function)
    say("other", vfio.get_device(group, other))
    close(container, group, device)
    set_driver(other, "vfio-pci")
    container, group, device = holder(function)
    opened("other", second := vfio.get_device(group, other))
    close(container, group, device, second)


def hot_reset(address, function, other, _):
    own = holder(address)
    say("on the root bus", (vfio.hot_reset_info(own[2], 4), vfio.hot_reset(own[2], own[1])))
    container, group, device = holder(function)
    say("no room", vfio.hot_reset_info(device, 0))
    say("room", vfio.hot_reset_info(device, 8))
    say("no groups", vfio.hot_reset(device))
    say("another's group", vfio.hot_reset(device, own[1]))
    say("no group", vfio.hot_reset(device, container))
    say("a bad descriptor", vfio.hot_reset(device, 1000))
    say("too many", vfio.hot_reset(device, group, group, group))
    say("bus master", vfio.set_bus_master(device))
    say("reset", vfio.hot_reset(device, group))
    say("command", vfio.command(device) & 4)
    opened("other", second := vfio.get_device(group, other))
    say("reset", vfio.hot_reset(second, group, own[1]))
    say("info", vfio.device_info(second))
    close(*own, container, group, device, second)


def hot_reset_behind_a_bridge(address, *rest):
    own = holder(address)
    container, group, device = holder(rest[-1])
    say("info", vfio.hot_reset_info(device, 8))
    say("another's group", vfio.hot_reset(device, own[1]))
    say("reset", vfio.hot_reset(device, group))
    say("info", vfio.device_info(device))
    say("map", vfio.map_dma(container, LOW))
    close(*own, container, group, device)


def kvm(address, function, *_):
    machine, kvm_vfio = vfio.create_kvm_vfio()
    container, group, device = holder(address)
    add, delete = 1, 2
    say("delete", vfio.set_kvm_group(kvm_vfio, delete, group))
    say("add", vfio.set_kvm_group(kvm_vfio, add, group))
    say("add again", vfio.set_kvm_group(kvm_vfio, add, group))
    say("another file", vfio.set_kvm_group(kvm_vfio, add, 1))
    say("a bad descriptor", vfio.set_kvm_group(kvm_vfio, add, 1000))
    say("delete", vfio.set_kvm_group(kvm_vfio, delete, group))
    say("delete again", vfio.set_kvm_group(kvm_vfio, delete, group))
    say("without a container", vfio.set_kvm_group(kvm_vfio, add, lone := vfio.open_group(function)))
    say("delete", vfio.set_kvm_group(kvm_vfio, delete, lone))
    say("add", vfio.set_kvm_group(kvm_vfio, add, group))
    close(device, group, container, lone, kvm_vfio, machine)
    is_free(address)


SCENES = (
    container_closed_first,
    group_closed_before_the_device,
    another_container,
    many_descriptors,
    last_close_disables,
    child_opens_and_maps,
    closed_in_one_process,
    killed_anywhere,
    sent_over_a_socket,
    inherited_through_exec,
    two_devices_of_a_group,
    not_viable,
    one_device_left,
    hot_reset,
    hot_reset_behind_a_bridge,
    kvm,
)


def main():
    if sys.argv[1] in ("receive", "inherit"):
        {"receive": receive, "inherit": inherit}[sys.argv[1]](*sys.argv[2:])
        return
    for scene in SCENES:
        print(f"{scene.__name__}:", flush=True)
        child = os.fork()
        if child == 0:
            try:
                scene(*sys.argv[1:])
            except (OSError, TypeError, ValueError):
                say("failed", traceback.format_exc())
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
