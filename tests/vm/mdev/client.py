"""A small legacy VFIO program, for a mediated device: finds its group in sysfs, uses it, prints what
each call said. The group's number is printed as N.

Usage: client.py UUID
"""

import ctypes
import errno
import fcntl
import mmap
import os
import re
import stat
import struct
import sys

UUID = sys.argv[1]
BY_BUS = f"/sys/bus/mdev/devices/{UUID}"
PAGE = mmap.PAGESIZE

TYPE1V2_IOMMU = 3
CHECK_EXTENSION, SET_IOMMU = 0x3B65, 0x3B66
GROUP_GET_STATUS, GROUP_SET_CONTAINER, GROUP_UNSET_CONTAINER, GROUP_GET_DEVICE_FD = range(
    0x3B67, 0x3B6B
)
DEVICE_GET_INFO, DEVICE_GET_REGION_INFO, DEVICE_GET_IRQ_INFO = range(0x3B6B, 0x3B6E)
DEVICE_SET_IRQS, DEVICE_RESET = 0x3B6E, 0x3B6F
IOMMU_GET_INFO, IOMMU_MAP_DMA, IOMMU_UNMAP_DMA = range(0x3B70, 0x3B73)
CONFIG_REGION = 7


def group_number():
    """As QEMU does it."""
    return os.path.basename(os.readlink(f"{BY_BUS}/iommu_group"))


GROUP = group_number()


def say(what, result):
    text = re.sub(rf"(iommu_groups|vfio)/{GROUP}\b", r"\1/N", str(result))
    print(f"{what}: {text}", flush=True)


def attempt(what, function, *arguments):
    """Prints the result or the error of a call, and returns the result."""
    try:
        result = function(*arguments)
    except OSError as error:
        say(what, errno.errorcode[error.errno])
        return None
    say(what, result)
    return result


def call(what, fd, request, form="", *values, room=0):
    """An ioctl with a structure that begins with its size; prints what came back in it."""
    size = struct.calcsize(form) + 4
    data = bytearray(struct.pack(f"=I{form.lstrip('=')}", size + room, *values) + bytes(room))
    try:
        result = fcntl.ioctl(fd, request, data)
    except OSError as error:
        say(what, errno.errorcode[error.errno])
        return None
    answer = struct.unpack_from(f"=I{form.lstrip('=')}", data)[1:]
    say(what, f"{result} {[hex(each) for each in answer]}")
    return data


def look_at_sysfs():
    own = os.path.realpath(BY_BUS)
    say("device", own)
    say("link", os.readlink(f"{BY_BUS}/iommu_group"))
    say("link of its own directory", os.readlink(f"{own}/iommu_group"))
    say("group", os.path.realpath(f"{BY_BUS}/iommu_group"))
    say("subsystem", os.path.realpath(f"{BY_BUS}/subsystem"))
    say("entries", sorted(os.listdir(BY_BUS)))
    group = f"/sys/kernel/iommu_groups/{GROUP}"
    say("of the group", sorted(os.listdir(group)))
    say("devices", [f"{name} {os.readlink(f'{group}/devices/{name}')}"
                    for name in os.listdir(f"{group}/devices")])
    for name in ("name", "type", "reserved_regions"):
        with open(f"{group}/{name}", encoding="ascii") as file:
            say(name, repr(file.read()))
    say("among groups", GROUP in os.listdir("/sys/kernel/iommu_groups"))
    say("among nodes", GROUP in os.listdir("/dev/vfio"))
    status = os.stat(f"/dev/vfio/{GROUP}")
    say("node", f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}")


def open_group():
    group = os.open(f"/dev/vfio/{GROUP}", os.O_RDWR)
    attempt("open it again", os.open, f"/dev/vfio/{GROUP}", os.O_RDWR)
    say("shown as", os.readlink(f"/proc/self/fd/{group}"))
    call("status", group, GROUP_GET_STATUS, "I", 0)
    return group


def device_of(group, name):
    return fcntl.ioctl(group, GROUP_GET_DEVICE_FD, bytearray(name.encode() + b"\0"))


def get_device(what, group, name):
    return attempt(what, device_of, group, name)


def set_container_of(group, container):
    return fcntl.ioctl(group, GROUP_SET_CONTAINER, bytearray(struct.pack("=i", container)))


def set_container(group, container):
    attempt("SET_CONTAINER", set_container_of, group, container)
    attempt("SET_IOMMU", fcntl.ioctl, container, SET_IOMMU, TYPE1V2_IOMMU)


def use_memory(container):
    memory = mmap.mmap(-1, 4 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    call("GET_INFO", container, IOMMU_GET_INFO, "IQII", 0, 0, 0, 0)
    describe_capabilities(container)


    def map_dma(what, iova, size):
        data = bytearray(struct.pack("=IIQQQ", 32, 3, address, iova, size))
        attempt(what, fcntl.ioctl, container, IOMMU_MAP_DMA, data)

    map_dma("MAP", 0x100000, 2 * PAGE)
    map_dma("MAP over it", 0x100000, PAGE)
    map_dma("MAP of half a page", 0x200000, PAGE // 2)
    map_dma("MAP high", 1 << 56, PAGE)
    map_dma("MAP where interrupts would be", 0xFEE00000, PAGE)
    call("UNMAP half", container, IOMMU_UNMAP_DMA, "IQQ", 0, 0x100000, PAGE)
    call("UNMAP", container, IOMMU_UNMAP_DMA, "IQQ", 0, 0x100000, 2 * PAGE)
    call("UNMAP nothing", container, IOMMU_UNMAP_DMA, "IQQ", 0, 0x100000, 2 * PAGE)
    call("UNMAP all", container, IOMMU_UNMAP_DMA, "IQQ", 2, 0, 0)


def describe_capabilities(container):
    data = bytearray(struct.pack("=IIQII", 4096, 0, 0, 0, 0).ljust(4096, b"\0"))
    fcntl.ioctl(container, IOMMU_GET_INFO, data)
    offset = struct.unpack_from("=I", data, 16)[0]
    while offset:
        number, version, following = struct.unpack_from("=HHI", data, offset)
        end = following or struct.unpack_from("=I", data)[0]
        body = data[offset + 8 : end].rstrip(b"\0").hex()
        say("capability", f"{number} version {version}: {body}")
        offset = following


def use_device(device):
    call("device", device, DEVICE_GET_INFO, "IIII", 0, 0, 0, 0)
    call("reset", device, DEVICE_RESET)
    for index in range(10):
        call(f"region {index}", device, DEVICE_GET_REGION_INFO, "IIIQQ", 0, index, 0, 0, 0)
    for index in range(5):
        call(f"interrupts {index}", device, DEVICE_GET_IRQ_INFO, "III", 0, index, 0)
    config = CONFIG_REGION << 40
    attempt("vendor and device", lambda: os.pread(device, 4, config).hex())
    attempt("write to a register", os.pwrite, device, b"\x03", 3)
    attempt("read of it", lambda: os.pread(device, 1, 3).hex())
    event = os.eventfd(0)
    irqs = bytearray(struct.pack("=IIIIIi", 24, 0x24, 0, 0, 1, event))
    attempt("SET_IRQS", fcntl.ioctl, device, DEVICE_SET_IRQS, irqs)
    say("shown as", os.readlink(f"/proc/self/fd/{device}"))


def main():
    look_at_sysfs()
    group = open_group()
    container = os.open("/dev/vfio/vfio", os.O_RDWR)
    get_device("GET_DEVICE_FD without container", group, UUID)
    set_container(group, container)
    call("status", group, GROUP_GET_STATUS, "I", 0)
    use_memory(container)
    get_device("GET_DEVICE_FD of another name", group, UUID[:-1] + "f")
    get_device("GET_DEVICE_FD with an option", group, f"{UUID} vf_token={UUID}")
    device = device_of(group, UUID)
    second = device_of(group, UUID)
    use_device(device)
    use_memory(container)
    attempt("UNSET_CONTAINER with the device open", fcntl.ioctl, group, GROUP_UNSET_CONTAINER)
    os.close(second)
    os.close(device)
    attempt("UNSET_CONTAINER", fcntl.ioctl, group, GROUP_UNSET_CONTAINER)
    set_container(group, container)
    os.close(group)
    os.close(container)
    os.close(open_group())


main()
