"""Legacy VFIO's calls as a program makes them: each returns its result, or its errno's name."""

import ctypes
import errno
import fcntl
import mmap
import os
import struct

TYPE1 = 1
TYPE1V2 = 3
CONFIG = 7 << 40  # the configuration space's offset in a device file of vfio-pci
PAGE = 4096


def _request(offset):
    return ord(";") << 8 | 100 + offset


SET_IOMMU = _request(2)
GET_STATUS = _request(3)
SET_CONTAINER = _request(4)
UNSET_CONTAINER = _request(5)
GET_DEVICE_FD = _request(6)
DEVICE_GET_INFO = _request(7)
DEVICE_RESET = _request(11)
GET_HOT_RESET_INFO = _request(12)
HOT_RESET = _request(13)
IOMMU_GET_INFO = _request(12)
MAP_DMA = _request(13)
UNMAP_DMA = _request(14)

KVM_CREATE_VM = 0xAE01
KVM_CREATE_DEVICE = 0xC00CAEE0
KVM_SET_DEVICE_ATTR = 0x4018AEE1
KVM_DEV_TYPE_VFIO = 4

memory = mmap.mmap(-1, 64 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _address(buffer):
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def attempt(call, *arguments):
    """The call's result, or the name of its errno."""
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def ioctl(fd, request, argument=0):
    if isinstance(argument, bytes):
        argument = bytearray(argument)  # in place, so that the result is the call's
    return attempt(fcntl.ioctl, fd, request, argument)


def group_number(address):
    return os.path.basename(os.readlink(f"/sys/bus/pci/devices/{address}/iommu_group"))


def open_container():
    return attempt(os.open, "/dev/vfio/vfio", os.O_RDWR)


def open_group(address):
    return attempt(os.open, f"/dev/vfio/{group_number(address)}", os.O_RDWR)


def status(group):
    """The flags of GET_STATUS."""
    answer = bytearray(struct.pack("II", 8, 0))
    result = ioctl(group, GET_STATUS, answer)
    return struct.unpack("II", answer)[1] if result == 0 else result


def set_container(group, container):
    return ioctl(group, SET_CONTAINER, struct.pack("i", container))


def unset_container(group):
    return ioctl(group, UNSET_CONTAINER)


def set_iommu(container, kind=TYPE1V2):
    return ioctl(container, SET_IOMMU, kind)


def get_device(group, address):
    return ioctl(group, GET_DEVICE_FD, address.encode() + b"\0")


def device_info(device):
    """The counts of regions and interrupts of DEVICE_GET_INFO."""
    answer = bytearray(struct.pack("IIIII", 20, 0, 0, 0, 0))
    result = ioctl(device, DEVICE_GET_INFO, answer)
    return struct.unpack("IIIII", answer)[2:4] if result == 0 else result


def map_dma(container, iova, pages=1):
    call = struct.pack("IIQQQ", 32, 3, _address(memory), iova, pages * PAGE)
    return ioctl(container, MAP_DMA, call)


def unmap_dma(container, iova, pages=1):
    """The bytes that were unmapped."""
    answer = bytearray(struct.pack("IIQQ", 24, 0, iova, pages * PAGE))
    result = ioctl(container, UNMAP_DMA, answer)
    return struct.unpack("IIQQ", answer)[3] if result == 0 else result


def iommu_info(container):
    """The page sizes of IOMMU_GET_INFO."""
    answer = bytearray(struct.pack("IIQII", 24, 0, 0, 0, 0))
    result = ioctl(container, IOMMU_GET_INFO, answer)
    return hex(struct.unpack("IIQII", answer)[2]) if result == 0 else result


def hot_reset_info(device, room):
    """The affected devices, and whether their groups are the devices'; or how many there are."""
    answer = bytearray(struct.pack("III", 12 + 8 * room, 0, 0) + bytes(8 * room))
    result = ioctl(device, GET_HOT_RESET_INFO, answer)
    _, flags, count = struct.unpack_from("III", answer)
    if result != 0:
        return result, flags, count
    devices = []
    for group, segment, bus, devfn in struct.iter_unpack("IHBB", answer[12 : 12 + 8 * count]):
        address = f"{segment:04x}:{bus:02x}:{devfn >> 3:02x}.{devfn & 7:x}"
        devices.append((address, str(group) == group_number(address)))
    return flags, sorted(devices)


def hot_reset(device, *groups):
    call = struct.pack(f"III{len(groups)}i", 12 + 4 * len(groups), 0, len(groups), *groups)
    return ioctl(device, HOT_RESET, call)


def command(device):
    """The command register, as the device's file shows it."""
    return attempt(lambda: struct.unpack("H", os.pread(device, 2, CONFIG + 4))[0])


def set_bus_master(device):
    return attempt(os.pwrite, device, struct.pack("H", command(device) | 4), CONFIG + 4)


def is_bus_master(address):
    """Whether the device may do DMA, as its configuration space says to everybody."""
    with open(f"/sys/bus/pci/devices/{address}/config", "rb") as config:
        return bool(config.read(6)[4] & 4)


def create_kvm_vfio():
    """A virtual machine and its device for VFIO; both have to be kept open."""
    with open("/dev/kvm", "rb") as kvm:
        machine = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
    answer = bytearray(struct.pack("III", KVM_DEV_TYPE_VFIO, 0, 0))
    fcntl.ioctl(machine, KVM_CREATE_DEVICE, answer)
    return machine, struct.unpack("III", answer)[1]


def set_kvm_group(kvm_vfio, attribute, fd):
    """KVM_DEV_VFIO_GROUP with ADD (1) or DEL (2)."""
    argument = bytearray(struct.pack("i", fd))
    call = struct.pack("IIQQ", 0, 1, attribute, _address(argument))
    return ioctl(kvm_vfio, KVM_SET_DEVICE_ATTR, call)
