#!/bin/bash
# A job: the first device, an NVMe controller, reads and writes the memory of another one.
#
# Usage: peer_to_peer_job.sh OTHER REGION PEER_TO_PEER_COMMAND...
#   OTHER   the other device's address
#   REGION  which of its regions is memory
# shellcheck source=tests/vm/guest/lib.sh
. "$VM_LIB"

disk=${VM_DEVICES%% *} other=$1 region=$2
shift 2
vm_bind "$disk" "$other"
timeout 120 "$@" "$(vm_group "$disk")" "$disk" "$(vm_group "$other")" "$other" "$region"
