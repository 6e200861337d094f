#!/bin/bash
# A job: runs a command as a service of systemd's, beside the daemon's units with the daemon installed
# for them. Its output and status are the command's.
#
# systemd is the first process of a PID namespace of its own, as in a container.
#
# Usage: systemd_job.sh UNITS DAEMON REMOTE LIBRARY COMMAND...
#   UNITS                    the folder of vfio-compatd.service and vfio-compatd.socket
#   DAEMON, REMOTE, LIBRARY  vfio-compatd, vfio-compat-remote and libvfio_compat.so
set -euo pipefail

install -D "$2" /usr/sbin/vfio-compatd
install -D "$3" /usr/libexec/vfio-compat-remote
install -D "$4" /usr/lib/libvfio_compat.so
install -D -m 644 --target-directory=/run/systemd/system "$1"/*.service "$1"/*.socket
shift 4

# What the command is run with, and how it ends systemd.
{
  export -p
  printf 'cd %q\n' "$PWD"
  printf '%q ' "$@"
  # shellcheck disable=SC2016  # it is expanded there
  printf '\nsystemctl exit "$?"\n'
} >/run/job
cat >/run/systemd/system/job.service <<'UNIT'
[Service]
ExecStart=/bin/bash /run/job
StandardOutput=file:/run/job-output
StandardError=inherit
LimitMEMLOCK=infinity
LimitCORE=0
UNIT

# What is the machine's to set up, guest/init has: devices, file systems, users.
for folder in {/etc,/lib}/systemd/system/{local-fs,sockets,sysinit,timers}.target.wants; do
  [[ ! -d $folder ]] || mount -t tmpfs tmpfs "$folder"
done
mount -t cgroup2 cgroup2 /sys/fs/cgroup
status=0
env container=vm unshare --pid --fork --mount-proc --kill-child \
  /lib/systemd/systemd --system --unit=job.service --log-target=kmsg || status=$?
cat /run/job-output
if ((status != 0)); then dmesg | grep -E 'systemd|vfio-compatd' | tail -n 50; fi
exit "$status"
