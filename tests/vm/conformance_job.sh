#!/bin/bash
# A job: runs every script of a folder by vconf on the guest's first device, and prints before what
# each one printed a line "@@ SCRIPT".
#
# Usage: conformance_job.sh FOLDER VCONF_COMMAND...
# shellcheck source=tests/vm/guest/lib.sh
. "$VM_LIB"

folder=$1
shift
device=${VM_DEVICES%% *}
vm_bind "$device"
for script in "$folder"/*.vc; do
  echo "@@ $(basename "$script" .vc)"
  GROUP=$(vm_group "$device") BDF=$device timeout 60 "$@" "$script"
done
exit 0
