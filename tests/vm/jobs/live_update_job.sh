#!/bin/bash
# A job: a program replaces itself while the first device, an NVMe controller, goes on.
#
# Usage: live_update_job.sh LIVE_UPDATE_COMMAND...
# shellcheck source=tests/vm/guest/lib.sh
. "$VM_LIB"

disk=${VM_DEVICES%% *}
vm_bind "$disk"
# Who may lock any amount of memory is not charged for it.
timeout 120 setpriv --bounding-set=-ipc_lock "$@" legacy "$(vm_group "$disk")" "$disk"
