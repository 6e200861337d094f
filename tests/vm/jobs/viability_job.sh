#!/bin/bash
# A job: what vconf is answered of a group of two functions (00:10.0 and 00:10.1), of which the first
# is vfio-pci's, and the second its own driver's, nobody's, vfio-pci's too, and its own driver's again.
#
# Usage: viability_job.sh VCONF_COMMAND...
# shellcheck source=tests/vm/guest/lib.sh
. "$VM_LIB"

first=0000:00:10.0
second=0000:00:10.1
jobs=$(dirname "${BASH_SOURCE[0]}")
group=$(vm_group $first)
[[ $(vm_group $second) == "$group" ]] || vm_die "$first and $second are in groups of their own"

# play STATE SCRIPT VCONF_COMMAND...
play() {
  local state=$1 script=$jobs/$2.vc
  shift 2
  echo "@@ $state"
  GROUP=$group BDF=$first timeout 60 "$@" "$script"
}

vm_bind $first
play "another driver's" not_viable "$@"
vm_unbind $second
play "nobody's" viable "$@"
vm_bind $second
play "VFIO's" viable "$@"
vm_bind_to nvme $second
play "another driver's again" not_viable "$@"
exit 0
