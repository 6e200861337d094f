#!/bin/bash
# A job: QEMU's own NVMe driver on the first device. Copies an image to the disk and back to a file,
# of which it prints the checksum, and then writes patterns, and reads them in another process.
#
# Usage: nvme_job.sh IMAGE [PREFIX...]
# shellcheck source=tests/vm/guest/lib.sh
. "$VM_LIB"

image=$1
shift
prefix=("$@")
disk=${VM_DEVICES%% *}
url=nvme://$disk/1
copy=/tmp/copy.img

# Runs a program on the disk: use PROGRAM ARGUMENT...
#
# The controller that QEMU 7.2 emulates counts who uses an interrupt vector, and forgets QEMU's
# driver at its start, but not at its end: the kernel's driver, between two of them, makes up for it.
use() {
  vm_bind_to nvme "$disk"
  vm_bind "$disk"
  timeout 120 "${prefix[@]}" "$@" || vm_die "status $? of $*"
}

use qemu-img convert -n -f raw -O raw "$image" "$url"
use qemu-img convert -f raw -O raw "$url" "$copy"
echo "copy: $(sha256sum <"$copy" | cut -d ' ' -f 1)"
use qemu-io -f raw -c 'write -P 0xab 0 1M' -c 'write -P 0xcd 8M 4k' \
  -c 'write -P 0x5a 12641792 64k' -c flush "$url"
use qemu-io -f raw -c 'read -P 0xab 0 1M' -c 'read -P 0xcd 8M 4k' \
  -c 'read -P 0x5a 12641792 64k' "$url"
