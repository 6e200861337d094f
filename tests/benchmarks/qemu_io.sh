#!/bin/bash
# Reads with QEMU's NVMe driver on the emulated controller, and with QEMU on the same image as a plain
# file; prints the best of several alternating runs of each and their ratio.
#
# Usage: tests/benchmarks/qemu_io.sh [IMAGE_SIZE_IN_MIB]
# Needs dist/, which tools/build makes.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly size=${1:-256} runs=5 address=0000:00:05.0
[[ -x dist/bin/vfio-compat ]] || { echo "run tools/build first" >&2; exit 1; }
command -v qemu-img >/dev/null || { echo "qemu-img is not installed" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
readonly image=$work/disk.img
head -c "${size}M" /dev/urandom >"$image"

# Prints how many seconds a qemu-img bench takes: seconds COMMAND...
seconds() {
  "$@" | sed -n 's/^Run completed in \(.*\) seconds\.$/\1/p'
}

on_controller() {
  seconds dist/bin/vfio-compat run --device "nvme,addr=$address,image=$image" -- \
    qemu-img bench -f raw "$@" "nvme://$address/1"
}

on_file() {
  seconds qemu-img bench -f raw "$@" "$image"
}

# Prints the lesser of two numbers; the first may be empty.
lesser() {
  awk -v a="$1" -v b="$2" 'BEGIN { print (a == "" || b + 0 < a + 0) ? b : a }'
}

# compare NAME COUNT BYTES BENCH_OPTION...: COUNT requests of BYTES each.
compare() {
  local name=$1 count=$2 bytes=$3 controller='' file='' i
  shift 3
  for ((i = 0; i < runs; i++)); do
    controller=$(lesser "$controller" "$(on_controller -c "$count" -s "$bytes" "$@")")
    file=$(lesser "$file" "$(on_file -c "$count" -s "$bytes" "$@")")
  done
  awk -v name="$name" -v count="$count" -v bytes="$bytes" -v c="$controller" -v f="$file" 'BEGIN {
    printf "%-32s controller %8.0f/s %7.1f MiB/s   file %8.0f/s %7.1f MiB/s   ratio %.2f\n", name,
      count / c, count * bytes / c / 1048576, count / f, count * bytes / f / 1048576, f / c
  }'
}

# A stride that is an odd number of blocks visits every block of an image whose number of blocks is a
# power of two, in an order that no read-ahead foresees.
readonly stride=$((4096 * 104729))
compare "4 KiB random reads, depth 1" 50000 4096 -d 1 -S "$stride"
compare "4 KiB random reads, depth 32" 100000 4096 -d 32 -S "$stride"
compare "1 MiB sequential reads, depth 1" "$((size * 4))" 1048576 -d 1
compare "1 MiB sequential reads, depth 8" "$((size * 4))" 1048576 -d 8
