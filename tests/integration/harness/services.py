"""Other people's programs that a test needs around the server: started, awaited, ended."""

import os
import select
import socket
import subprocess
import tempfile
import threading
import time

from . import DEADLINE
from .process import die_with_parent, kill_group


class Service:
    """A program that says READY=1 by sd_notify(3); a context manager."""

    def __init__(self, args, env=None):
        self._args = [str(a) for a in args]
        self._env = env or {}

    def __enter__(self):
        self._log = tempfile.TemporaryFile()
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/notify"
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.bind(path)
                self.process = subprocess.Popen(
                    self._args,
                    stdin=subprocess.DEVNULL,
                    stdout=self._log,
                    stderr=subprocess.STDOUT,
                    env={
                        "PATH": os.environ["PATH"],
                        "HOME": "/nonexistent",
                        "LC_ALL": "C.UTF-8",
                        "NOTIFY_SOCKET": path,
                        **self._env,
                    },
                    preexec_fn=die_with_parent,
                    start_new_session=True,
                )
                self._await(notify)
        return self

    def _await(self, notify):
        end = time.monotonic() + DEADLINE
        pidfd = os.pidfd_open(self.process.pid)
        try:
            while True:
                left = max(0, end - time.monotonic())
                events, _, _ = select.select([notify, pidfd], [], [], left)
                if notify in events and b"READY=1" in notify.recv(65536).split(b"\n"):
                    return
                if notify not in events:  # it ended, or the time has
                    self.__exit__()
                    raise AssertionError(f"{self._args[0]} is not ready:\n{self.output}")
        finally:
            os.close(pidfd)

    @property
    def output(self):
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")

    def __exit__(self, *_):
        # Not asked politely: how other programs end is not our subject, and some hang then. Their
        # addresses are free when their workers have ended, too.
        kill_group(self.process)


def apex(zone):
    """Zone file text of what every zone has."""
    return (
        f"{zone}. 300 IN SOA ns.{zone}. hostmaster.{zone}. 1 300 300 300 300\n"
        f"{zone}. 300 IN NS ns.{zone}.\n"
        f"ns.{zone}. 300 IN A 127.0.0.1\n"
    )


def start_knot(directory, keys, template, zones):
    """Knot DNS on port 53 of loopback with this text in its configuration, as a Service."""
    config = directory / "knot.conf"
    config.write_text(
        f"""
server:
    rundir: {directory}
    listen: [127.0.0.1@53, ::1@53]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {directory}
log:
  - target: stderr
    any: warning
{keys}template:
  - id: default
    storage: {directory}
    semantic-checks: on
{template}zone:
{zones}"""
    )
    return Service(["knotd", "-c", config], env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


def knot(directory, zone, records="", *, more=None, key=None, updates=(),
         rule="action: update"):
    """A Knot DNS server for one zone on port 53 of loopback, as a Service.

    `records` is zone file text with absolute names; SOA and NS are added. `more` are further zones,
    {name: records}. With `key` (NAME, SECRET) those of `updates` take dynamic updates by it as far
    as `rule` says. In a directory that is there already it goes on with what is there.
    """
    zones = {zone: records, **(more or {})}
    if not directory.exists():
        directory.mkdir()
        for name, text in zones.items():
            (directory / f"{name}.zone").write_text(apex(name) + text)
    keys = ""
    if key:
        keys = (
            f"key:\n  - id: {key[0]}\n    algorithm: hmac-sha256\n    secret: {key[1]}\n"
            f"acl:\n  - id: update\n    key: {key[0]}\n"
            + "".join(f"    {line.strip()}\n" for line in rule.splitlines())
        )
    lines = "".join(
        f"  - domain: {name}\n    file: {name}.zone\n"
        + ("    acl: update\n" if name in updates else "")
        for name in zones
    )
    return start_knot(directory, keys, "", lines)


class MailServer:
    """An MX that knows EHLO, STARTTLS and QUIT: what a checker says to it; a context manager."""

    def __init__(self, address, context):
        self._address = address
        self._context = context

    def __enter__(self):
        self._listener = socket.create_server(self._address)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(DEADLINE)

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                self._talk(connection)
            except OSError:
                pass

    def _talk(self, connection):
        connection.settimeout(DEADLINE)
        connection.sendall(b"220 mx ESMTP\r\n")
        stream = connection.makefile("rb")
        while line := stream.readline():
            verb = line.strip().upper().partition(b" ")[0]
            if verb == b"EHLO":
                connection.sendall(b"250-mx\r\n250 STARTTLS\r\n")
            elif verb == b"STARTTLS":
                connection.sendall(b"220 go\r\n")
                connection = self._context.wrap_socket(connection, server_side=True)
                stream = connection.makefile("rb")
            elif verb == b"QUIT":
                connection.sendall(b"221 bye\r\n")
                break
            else:
                connection.sendall(b"250 ok\r\n")
        stream.close()
        connection.close()
