#!/usr/bin/env python3
"""What tests/vm/boot promises: the job's output and status, an end to all, the right kernel."""

import hashlib
import os
import subprocess
import sys
import tempfile
import unittest

import harness

IOMMUFD_NODES = ["/dev/iommu", "/dev/vfio/devices/vfio0"]
GROUP_NODES = ["/dev/iommu", "/dev/vfio/N", "/dev/vfio/devices/vfio0", "/dev/vfio/vfio"]


class JobTest(unittest.TestCase):
    def test_output_and_status_come_through(self):
        result = harness.shell("iommufd", "echo to output; echo to errors >&2; exit 7")
        self.assertEqual(result.stdout, "to output\nto errors\n", result.stderr)
        self.assertEqual(result.returncode, 7)

    def test_a_signal_shows_in_the_status(self):
        self.assertEqual(harness.shell("iommufd", "kill -KILL $$").returncode, 128 + 9)

    def test_arguments_and_the_folder_are_the_callers(self):
        script = 'pwd; printf "<%s>\n" "$@"'
        result = harness.guest("iommufd", "bash", "-c", script, "_", "a  b", "'")
        self.assertEqual(result.stdout, f"{os.getcwd()}\n<a  b>\n<'>\n", result.stderr)

    def test_every_byte_of_much_output_comes_through(self):
        with tempfile.NamedTemporaryFile() as file:
            data = os.urandom(3 << 20)
            file.write(data)
            file.flush()
            result = harness.guest("iommufd", "cat", file.name, text=False)
        self.assertEqual(len(result.stdout), len(data), result.stderr)
        self.assertEqual(hashlib.sha256(result.stdout).digest(), hashlib.sha256(data).digest())

    def test_what_the_job_leaves_running_is_ended_with_it(self):
        result = harness.shell("iommufd", "sleep infinity & echo left", options=("--time", "120"))
        self.assertEqual((result.stdout, result.returncode), ("left\n", 0), result.stderr)

    def test_nothing_is_written_to_the_hosts_files(self):
        with tempfile.TemporaryDirectory() as folder:
            result = harness.shell("iommufd", f"echo here > {folder}/file && cat {folder}/file")
            self.assertEqual(result.stdout, "here\n", result.stderr)
            self.assertEqual(os.listdir(folder), [])


class FailureTest(unittest.TestCase):
    def test_a_job_that_hangs_is_ended(self):
        result = harness.shell("iommufd", "sleep infinity", options=("--time", "20"))
        self.assertEqual(result.returncode, 124)
        self.assertIn("within 20 s", result.stderr)

    def test_a_kernel_that_panics_is_reported(self):
        result = harness.guest("iommufd", "true", options=("--append", "init=/nowhere"))
        self.assertEqual(result.returncode, 125)
        self.assertIn("the guest's kernel failed: Kernel panic", result.stderr)
        self.assertIn("/nowhere", result.stderr)

    def test_a_device_that_qemu_does_not_know_is_reported(self):
        result = harness.guest("iommufd", "true", options=("--device", "no-such-device"))
        self.assertEqual(result.returncode, 125)
        self.assertIn("no-such-device", result.stderr)

    def test_a_machine_without_qemu_is_told_apart(self):
        command = [sys.executable, harness.HERE / "boot", "iommufd", "true"]
        result = subprocess.run(
            command, env={"PATH": "/nowhere"}, stderr=subprocess.PIPE, text=True, check=False
        )
        self.assertEqual(result.returncode, harness.LACKING)
        self.assertIn("qemu-system-x86_64 is missing", result.stderr)


class DeviceTest(unittest.TestCase):
    def test_devices_appear_in_the_order_of_the_options(self):
        devices = ("--e1000e", "--nvme", "64M,first", "--e1000e", "--nvme", "1G")
        script = """
          for device in $VM_DEVICES; do echo "$device $(vm_driver $device)"; done
          for disk in /sys/class/nvme/nvme*; do
            echo $(cat $disk/address $disk/serial) $(cat $disk/nvme*n1/size)
          done | sort
        """
        result = harness.shell("iommufd", script, options=devices)
        expected = [
            "0000:00:03.0 e1000e",
            "0000:00:04.0 nvme",
            "0000:00:05.0 e1000e",
            "0000:00:06.0 nvme",
            "0000:00:04.0 first 131072",
            "0000:00:06.0 disk3 2097152",
        ]
        self.assertEqual(result.stdout.splitlines(), expected, result.stderr)

    def test_an_image_keeps_what_is_written_to_the_disk(self):
        with tempfile.NamedTemporaryFile() as image:
            image.truncate(1 << 20)
            script = "echo kept > /dev/nvme0n1 && sync"
            result = harness.shell("iommufd", script, options=("--nvme", image.name))
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertEqual(image.read(5), b"kept\n")

    def test_devices_are_given_to_vfio_and_back(self):
        script = """
          vm_bind $VM_DEVICES && [[ -c $(vm_cdev $VM_DEVICES) ]] && vm_driver $VM_DEVICES
          ls /sys/kernel/iommu_groups/$(vm_group $VM_DEVICES)/devices
          vm_bind_to e1000e $VM_DEVICES && vm_driver $VM_DEVICES
        """
        result = harness.shell("iommufd", script, options=("--e1000e",))
        expected = ["vfio-pci", "0000:00:03.0", "e1000e"]
        self.assertEqual(result.stdout.splitlines(), expected, result.stderr)

    def test_processors_memory_and_huge_pages_are_as_asked_for(self):
        options = ("--cpus", "1", "--memory", "1024", "--hugepages", "50")
        script = """
          nproc
          awk '/^MemTotal/ {print int($2 / 2^18)} /^HugePages_Total/ {print $2}' /proc/meminfo
        """
        result = harness.shell("iommufd", script, options=options)
        self.assertEqual(result.stdout.split(), ["1", "3", "50"], result.stderr)


class KernelTest(unittest.TestCase):
    def assert_nodes(self, kernel, nodes):
        result = harness.guest(
            kernel, "bash", harness.JOBS / "nodes_job.sh", options=("--e1000e",)
        )
        self.assertEqual(result.stdout.splitlines(), nodes, result.stderr)

    def test_iommufd_has_neither_groups_nor_containers(self):
        self.assert_nodes("iommufd", IOMMUFD_NODES)

    def test_legacy_has_groups_and_containers(self):
        self.assert_nodes("legacy", GROUP_NODES)

    def test_compat_has_groups_and_containers(self):
        self.assert_nodes("compat", GROUP_NODES)

    def test_virtual_machines_and_mediated_devices_can_be_had(self):
        result = harness.shell("iommufd", "ls /dev/kvm; ls /sys/class/mdev_bus")
        self.assertEqual(result.stdout.split(), ["/dev/kvm", "mtty"], result.stderr)


if __name__ == "__main__":
    harness.main()
