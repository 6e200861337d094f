#!/bin/bash
# A job: gives the first device to vfio-pci and prints every node that VFIO and iommufd have then.
# The group's number, which depends on the machine, is printed as N.
# shellcheck source=tests/vm/guest/lib.sh
. "$VM_LIB"

device=${VM_DEVICES%% *}
vm_bind "$device"
find /dev/iommu /dev/vfio -type c | sed "s|^/dev/vfio/$(vm_group "$device")\$|/dev/vfio/N|" | sort
