#!/bin/bash
# A job: makes mediated devices of the sample driver mtty, and runs a program on the second one.
#
# Usage: job.sh COMMAND...  ("UUID" as an argument stands for the device's name)
uuids=(83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 83b8f4f2-509f-382f-3c1e-e6bfe0fa1002)
for uuid in "${uuids[@]}"; do
  echo "$uuid" >/sys/devices/virtual/mtty/mtty/mdev_supported_types/mtty-2/create
done
exec "${@//UUID/${uuids[1]}}"
