# shellcheck shell=bash
# Functions for jobs in the guest; a job sources it by `. "$VM_LIB"`. A device is named by its PCI
# address ("0000:00:03.0"); the addresses of the devices that were asked for are in $VM_DEVICES.

vm_die() {
  printf '%s\n' "$*" >&2
  exit 1
}

# Takes a device away from its driver, if it has one: vm_unbind DEVICE
vm_unbind() {
  local device=/sys/bus/pci/devices/$1
  [[ ! -e $device/driver ]] || echo "$1" >"$device/driver/unbind"
}

# Gives a device to a driver and fails if it does not take it: vm_bind_to DRIVER DEVICE
vm_bind_to() {
  local device=/sys/bus/pci/devices/$2
  [[ -d $device ]] || vm_die "there is no device $2"
  vm_unbind "$2"
  echo "$1" >"$device/driver_override"
  echo "$2" >/sys/bus/pci/drivers_probe
  [[ $(vm_driver "$2") == "$1" ]] || vm_die "$1 did not take $2"
}

# Gives devices to vfio-pci: vm_bind DEVICE...
vm_bind() {
  local device
  for device; do
    vm_bind_to vfio-pci "$device"
  done
}

# Prints a device's driver, or nothing: vm_driver DEVICE
vm_driver() {
  local driver
  driver=$(readlink "/sys/bus/pci/devices/$1/driver") && basename "$driver"
}

# Prints the number of a device's IOMMU group: vm_group DEVICE
vm_group() {
  basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")"
}

# Prints the node of a device that is bound to vfio-pci: vm_cdev DEVICE
vm_cdev() {
  local nodes=("/sys/bus/pci/devices/$1/vfio-dev"/vfio*)
  [[ -d ${nodes[0]} ]] || vm_die "$1 has no node in /dev/vfio/devices"
  printf '/dev/vfio/devices/%s\n' "${nodes[0]##*/}"
}
