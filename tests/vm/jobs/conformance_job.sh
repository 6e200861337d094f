#!/bin/bash
# A job: runs scripts by vconf on the first device, which it gives to vfio-pci, and prints before
# what each one printed a line "@@ SCRIPT". What came on standard error is behind "@@ errors".
#
# Usage: conformance_job.sh SCRIPT... -- VCONF_COMMAND...
# shellcheck source=tests/vm/guest/lib.sh
. "$VM_LIB"

scripts=()
while [[ $1 != -- ]]; do
  scripts+=("$1")
  shift
done
shift
device=${VM_DEVICES%% *}
vm_bind "$device"
for script in "${scripts[@]}"; do
  echo "@@ $(basename "$script" .vc)"
  GROUP=$(vm_group "$device") BDF=$device timeout 60 "$@" "$script" 2>>/run/errors
done
echo "@@ errors"
cat /run/errors
