#!/bin/bash
# Ordinary programs, unmodified, see the emulated devices. The library under test has the file
# system view and a fake session (fake_session.cc) with the devices of compat/vfs/fake_inventory.h.
set -u
library=$(realpath "$1")
failures=0

# under PROGRAM ARG...: runs a program with the library.
under() { LD_PRELOAD=$library "$@"; }

# expect NAME EXPECTED ACTUAL
expect() {
  [[ $2 == "$3" ]] && return
  printf 'FAILED: %s\n--- expected\n%s\n--- got\n%s\n' "$1" "$2" "$3"
  failures=$((failures + 1))
}

# has NAME WANTED ACTUAL: ACTUAL must contain the line WANTED.
has() { grep -qxF -- "$2" <<<"$3" || expect "$1" "a line: $2" "$3"; }

device=/sys/bus/pci/devices/0000:00:05.0

expect 'cat reads attributes' $'0x1b36\n0x0010' "$(under cat $device/vendor $device/device)"
expect 'cat reads the same by another path' '0x1b36' \
  "$(under cat /sys/kernel/iommu_groups/7/devices/0000:00:05.0/vendor)"
expect 'readlink reads links' '../../../kernel/iommu_groups/7' "$(under readlink $device/iommu_group)"
expect 'realpath follows links' /sys/kernel/iommu_groups/7 "$(under realpath $device/iommu_group)"
expect 'stat shows device nodes' 'character special file a:c4 666' \
  "$(under stat -c '%F %t:%T %a' /dev/vfio/vfio)"
expect 'the shell tests files' 'yes' \
  "$(under bash -c "[[ -d $device && -r $device/config && ! -e $device/max_vfs ]] && echo yes")"
expect 'the shell changes directories' '0x1b36' "$(under bash -c "cd $device && cat ./vendor" 2>&1)"
listing=$(under ls -la /dev/vfio/ /sys/kernel/iommu_groups/ $device/ 2>&1)
expect 'ls -l has nothing to complain about' '' "$(grep '^ls:' <<<"$listing")"
has 'ls lists the container' vfio "$(under ls /dev/vfio)"
has 'ls lists groups' 12 "$(under ls /dev/vfio)"
has 'find walks the groups' /sys/kernel/iommu_groups/7/devices/0000:00:1f.7 \
  "$(under find /sys/kernel/iommu_groups)"
expect 'find walks without complaint' '' "$(under find /sys/kernel/iommu_groups $device/ -ls 2>&1 >/dev/null)"
has 'find follows links' $device/vendor \
  "$(under find -L /sys/bus/pci/devices -maxdepth 2 -name vendor 2>/dev/null)"
expect 'grep searches directories' "/sys/kernel/iommu_groups/7/type:DMA" \
  "$(under grep -r --include=type DMA /sys/kernel/iommu_groups/7)"
expect 'what is written is refused' 1 "$(under bash -c "echo x > $device/driver_override" 2>/dev/null; echo $?)"

expect 'python sees what the others see' 'ok' "$(under /usr/bin/python3 - 2>&1 <<'PYTHON'
import glob, os, pathlib, stat
device = '/sys/bus/pci/devices/0000:00:05.0'
assert {'vfio', '7', '12'} <= set(os.listdir('/dev/vfio'))
assert sorted(os.listdir('/sys/kernel/iommu_groups/7/devices')) == ['0000:00:05.0', '0000:00:1f.7']
assert open(device + '/class').read() == '0x010802\n'
assert open(device + '/config', 'rb').read()[:4] == b'\x36\x1b\x10\x00'
assert len(open(device + '/resource').readlines()) == 13
assert os.readlink(device + '/driver') == '../../../bus/pci/drivers/vfio-pci'
assert os.path.realpath(device) == '/sys/devices/pci0000:00/0000:00:05.0'
assert os.path.samefile(device, '/sys/kernel/iommu_groups/7/devices/0000:00:05.0')
assert stat.S_ISCHR(os.stat('/dev/vfio/7').st_mode)
assert os.stat(device + '/vendor').st_ino == os.fstat(os.open(device + '/vendor', os.O_RDONLY)).st_ino
assert pathlib.Path('/sys/module/vfio_pci').is_dir()
assert device in glob.glob('/sys/bus/pci/devices/*')
assert [entry.name for entry in os.scandir(device) if entry.is_symlink() and entry.name == 'driver']
group = os.open('/dev/vfio/7', os.O_RDWR)
assert os.readlink(f'/proc/self/fd/{group}') == '/dev/vfio/7'
os.chdir(device)
assert os.getcwd() == '/sys/devices/pci0000:00/0000:00:05.0'
assert open('vendor').read() == '0x1b36\n'
directory = os.open('/sys/bus/pci', os.O_RDONLY)
assert os.read(os.open('devices/0000:00:05.0/vendor', os.O_RDONLY, dir_fd=directory), 99) == b'0x1b36\n'
print('ok')
PYTHON
)"

if command -v lspci > /dev/null; then
  has 'lspci lists devices' '00:05.0 0108: 1b36:0010 (rev 02)' \
    "$(under lspci -n 2>/dev/null | sed 's/^0000://')"
  has 'lspci names the driver' $'\tKernel driver in use: vfio-pci' "$(under lspci -k -s 0:5.0 2>/dev/null)"
else
  echo 'SKIPPED: lspci is not installed'
fi

for program in 'ls /' 'ls /proc/self/' 'cat /proc/version' 'find /usr/lib/os-release' 'stat -c %n /dev/null'; do
  expect "$program is as ever" "$($program)" "$(under $program)"
done
expect 'without configuration there is nothing' 2 \
  "$(VFIO_COMPAT_TEST_OFF=1 under ls /sys/kernel/iommu_groups/7 2>/dev/null; echo $?)"
exit $((failures != 0))
