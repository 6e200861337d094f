#!/usr/bin/env python3
"""An orchestrator in Python: looks at a program that runs under the library, and acts on it."""

import queue
import shutil
import subprocess
import unittest

import support

import grpc
from vfio.compat.v1 import actions_pb2, actions_pb2_grpc
from vfio.compat.v1 import address_spaces_pb2, address_spaces_pb2_grpc
from vfio.compat.v1 import common_pb2
from vfio.compat.v1 import sessions_pb2, sessions_pb2_grpc

Kind = sessions_pb2.Event


class OrchestratorTest(unittest.TestCase):
    def setUp(self):
        folder = support.temporary_folder()
        self.addCleanup(folder.cleanup)
        self.image = support.make_image(folder.name)
        self.daemon = support.Daemon(folder.name)
        self.addCleanup(self.daemon.stop)
        self.connect()
        self.watcher = support.Watcher(self.sessions, sessions_pb2.WatchRequest(from_sequence=1))
        self.addCleanup(lambda: self.watcher.cancel())
        self.program = support.QemuIo(self.daemon, self.image)
        self.addCleanup(self.program.kill)
        self.session = self.watcher.until(
            lambda event: event.kind == Kind.KIND_OPENED and event.container == 0
        ).session

    def connect(self):
        channel = self.daemon.channel
        self.sessions = sessions_pb2_grpc.SessionsStub(channel)
        self.spaces = address_spaces_pb2_grpc.AddressSpacesStub(channel)
        self.actions = actions_pb2_grpc.ActionsStub(channel)

    def get(self):
        return self.sessions.GetSession(sessions_pb2.GetSessionRequest(session=self.session))

    def container(self):
        return self.get().containers[0]

    def target(self):
        return actions_pb2.Target(session=self.session, container=self.container().number)

    def mappings(self):
        request = address_spaces_pb2.ListMappingsRequest(
            session=self.session, container=self.container().number
        )
        return [m for response in self.spaces.ListMappings(request) for m in response.mappings]

    def status_of(self, call, request):
        """The code that a call fails with, and the fields that it complains of."""
        with self.assertRaises(grpc.RpcError) as caught:
            call(request)
        return caught.exception.code()

    def restart_daemon(self):
        """Kills the daemon and starts another, which is to find the session again."""
        self.watcher.cancel()
        self.daemon.kill()
        self.daemon.start()
        self.connect()
        self.watcher = support.Watcher(self.sessions, sessions_pb2.WatchRequest(from_sequence=1))
        self.watcher.until(
            lambda event: event.kind == Kind.KIND_OPENED and event.session == self.session
        )

    def test_sees_what_a_program_has(self):
        listed = self.sessions.ListSessions(sessions_pb2.ListSessionsRequest()).sessions
        self.assertEqual([session.id for session in listed], [self.session])
        session = self.get()
        self.assertEqual(session.pid, self.program.process.pid)
        self.assertEqual(session.backend, common_pb2.BACKEND_SOFTWARE)
        self.assertIn(support.DISK, session.command)
        self.assertEqual(session.containers[0].type, common_pb2.CONTAINER_TYPE_TYPE1)
        self.assertEqual(list(session.groups[0].devices), [support.ADDRESS])
        mappings = self.mappings()
        self.assertEqual(len(mappings), session.containers[0].mapping_count)
        self.assertEqual(
            sum(m.last - m.first + 1 for m in mappings), session.containers[0].mapped_bytes
        )

    def test_translates(self):
        mapping = self.mappings()[0]
        request = address_spaces_pb2.TranslateRequest(
            session=self.session, container=self.container().number, iova=mapping.first + 5
        )
        translation = self.spaces.Translate(request)
        self.assertEqual(translation.user_address, mapping.user_address + 5)
        self.assertEqual(translation.contiguous_bytes, mapping.last - mapping.first - 4)
        request.iova = self.mappings()[-1].last + 1
        self.assertEqual(
            self.status_of(self.spaces.Translate, request), grpc.StatusCode.NOT_FOUND
        )

    def test_hears_of_mappings(self):
        # What the process has answered was asked after it was told to send events.
        self.get()
        # Larger than what the driver keeps mapped for itself.
        self.program.do("write -P 0x5a 0 1M")
        mapped = self.watcher.until(lambda event: event.kind == Kind.KIND_MAPPED)
        self.assertEqual(mapped.session, self.session)
        self.assertGreater(mapped.range.last, mapped.range.first)
        self.program.quit()
        self.watcher.until(
            lambda event: event.kind == Kind.KIND_CLOSED
            and event.container == 0
            and event.session == self.session
        )

    def test_limits(self):
        container = self.container()
        request = actions_pb2.SetLimitsRequest(
            session=self.session,
            container=container.number,
            limits=sessions_pb2.Limits(mapped_bytes=container.mapped_bytes),
        )
        request.dry_run = True
        self.actions.SetLimits(request)
        self.assertEqual(self.container().limits.mapped_bytes, 0)
        request.dry_run = False
        self.actions.SetLimits(request)
        self.assertEqual(self.container().limits.mapped_bytes, container.mapped_bytes)
        # The program lives on less, or is told that there is no memory.
        self.program.do("read 0 1M")
        self.assertLessEqual(self.container().mapped_bytes, container.mapped_bytes)
        request.limits.Clear()
        self.actions.SetLimits(request)
        self.assertIn("read 1048576/1048576", self.program.do("read 0 1M"))

    def test_freezes_and_thaws(self):
        self.assertIn("wrote 65536/65536", self.program.do("write -P 0x11 0 64k"))
        self.actions.Freeze(actions_pb2.FreezeRequest(target=self.target(), dry_run=True))
        self.assertFalse(self.container().is_frozen)
        answer = self.actions.Freeze(actions_pb2.FreezeRequest(target=self.target()))
        self.assertEqual(list(answer.devices), [support.ADDRESS])
        self.assertTrue(self.container().is_frozen)
        self.assertTrue(
            self.actions.Freeze(actions_pb2.FreezeRequest(target=self.target())).was_in_force
        )
        self.program.send("write -P 0x22 0 64k")
        with self.assertRaises(queue.Empty):
            self.program.answer(timeout=2)
        self.assertIsNone(self.program.process.poll())
        self.assertEqual(self.image.read_bytes()[:65536], b"\x11" * 65536)

        # A daemon that dies changes nothing, and the next one knows.
        self.restart_daemon()
        self.assertTrue(self.container().is_frozen)

        self.actions.Thaw(actions_pb2.ThawRequest(target=self.target()))
        self.assertIn("wrote 65536/65536", self.program.answer())
        self.assertEqual(self.image.read_bytes()[:65536], b"\x22" * 65536)
        self.assertEqual(self.program.quit(), 0)

    def test_revokes(self):
        self.actions.Revoke(
            actions_pb2.RevokeRequest(session=self.session, container=self.container().number)
        )
        container = self.container()
        self.assertTrue(container.is_revoked)
        self.assertEqual(container.mapping_count, 0)
        self.assertIsNone(self.program.process.poll())

    def test_session_ends_with_its_program(self):
        self.program.kill()
        self.watcher.until(
            lambda event: event.kind == Kind.KIND_CLOSED and event.session == self.session
        )
        self.assertEqual(
            self.status_of(
                self.sessions.GetSession, sessions_pb2.GetSessionRequest(session=self.session)
            ),
            grpc.StatusCode.NOT_FOUND,
        )


class VirtualMachineTest(unittest.TestCase):
    MACHINE = "qemu-system-x86_64"

    @unittest.skipUnless(shutil.which(MACHINE), f"{MACHINE} is not installed")
    def test_sees_one_that_libvirt_would_start(self):
        """Which may not start programs, nor say where or how its threads run."""
        folder = support.temporary_folder()
        self.addCleanup(folder.cleanup)
        image = support.make_image(folder.name)
        daemon = support.Daemon(folder.name)
        self.addCleanup(daemon.stop)
        sessions = sessions_pb2_grpc.SessionsStub(daemon.channel)
        watcher = support.Watcher(sessions, sessions_pb2.WatchRequest(from_sequence=1))
        self.addCleanup(watcher.cancel)
        denied = "obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
        machine = subprocess.Popen(  # pylint: disable=consider-using-with
            [
                *(self.MACHINE, "-M", "q35", "-S", "-nodefaults", "-display", "none"),
                *("-monitor", "stdio", "-sandbox", f"on,{denied}"),
                *("-device", f"vfio-pci,host={support.ADDRESS}"),
            ],
            env=support.environment(daemon, image),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        self.addCleanup(machine.wait)
        self.addCleanup(machine.kill)
        session = watcher.until(lambda event: event.kind == Kind.KIND_OPENED).session
        listed = sessions.ListSessions(sessions_pb2.ListSessionsRequest()).sessions
        self.assertEqual([(each.id, each.pid) for each in listed], [(session, machine.pid)])
        machine.communicate(b"quit\n", support.PATIENCE)
        self.assertEqual(machine.returncode, 0)
        watcher.until(lambda event: event.kind == Kind.KIND_CLOSED and event.session == session)


if __name__ == "__main__":
    unittest.main(verbosity=2)
