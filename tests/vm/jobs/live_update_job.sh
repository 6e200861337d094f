#!/bin/bash
# A job: a program replaces itself while the first device, an NVMe controller, goes on.
#
# Usage: live_update_job.sh legacy|native LIVE_UPDATE_COMMAND...
# shellcheck source=tests/vm/guest/lib.sh
. "$VM_LIB"

disk=${VM_DEVICES%% *} calls=$1
shift
vm_bind "$disk"
if [[ $calls == legacy ]]; then
  device=("$(vm_group "$disk")" "$disk")
else
  device=("$(vm_cdev "$disk")")
fi
# Who may lock any amount of memory is not charged for it.
timeout 120 setpriv --bounding-set=-ipc_lock "$@" "$calls" "${device[@]}"
