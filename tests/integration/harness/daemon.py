"""The server as a process: a generated configuration, readiness by event, a clean end asserted."""

import array
import fcntl
import os
import pathlib
import re
import select
import shlex
import signal
import subprocess
import termios
import threading
import time

import yaml

from . import DEADLINE
from .inotify import Watch
from .process import check_clean, command, die_with_parent, environment


def parse_logfmt(line):
    """key=value pairs of a log line, as a dict."""
    try:
        words = shlex.split(line)
    except ValueError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


class Daemon:
    """`mta-stsd serve`. Start it through the `serve` fixture, which also ends it."""

    def __init__(self, config, directory, args=(), env=None, preexec=None):
        self.directory = pathlib.Path(directory)
        self.config = self.directory / "mta-stsd.yaml"
        if isinstance(config, dict):
            config = yaml.safe_dump(config, sort_keys=False)
        if config is not None:
            self.config.write_text(config)
        self._args = list(args)
        self._env = env or {}
        self._preexec = preexec
        self._lines = []
        self._news = threading.Condition()
        self.process = None
        self.addresses = []
        self.returncode = None

    def again(self):
        """The same server, to be started once more."""
        return Daemon(None, self.directory, self._args, self._env, self._preexec)

    def start(self):
        """Returns self once it listens; fails when it ended instead."""
        assert self.launch(), f"did not start, exit {self.returncode}:\n{self.output}"
        return self

    def launch(self):
        """True once it listens, False when it ended instead (then see returncode and output)."""
        ready_dir = self.directory / ".ready"
        ready_dir.mkdir(exist_ok=True)
        ready_file = ready_dir / "addresses"
        ready_file.unlink(missing_ok=True)
        watch = Watch(ready_dir)

        def preexec():
            die_with_parent()
            if self._preexec:
                self._preexec()

        def addresses():
            try:
                text = ready_file.read_text()
            except FileNotFoundError:
                return None
            return re.findall(r"^address (\S+)\n", text, re.M)

        try:
            self.process = subprocess.Popen(
                command("serve", "-c", self.config, "--ready-file", ready_file, *self._args),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=environment(**self._env),
                preexec_fn=preexec,
            )
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
            self.addresses = watch.wait_until(addresses, self.process, DEADLINE) or []
        except TimeoutError:
            self.process.kill()
            self._ended()
            raise AssertionError(f"not ready in {DEADLINE} s:\n{self.output}") from None
        finally:
            watch.close()
        if not self.addresses:
            self._ended()
        return bool(self.addresses)

    def _read(self):
        """Takes what comes, under the lock: what is in the pipe no more is in the list."""
        pipe, rest, data = self.process.stdout.fileno(), b"", b"\n"
        while data:
            select.select([pipe], [], [])
            with self._news:
                data = os.read(pipe, 65536)
                *whole, rest = (rest + data).split(b"\n")
                whole += [rest] if rest and not data else []
                self._lines.extend(line.decode("utf-8", "backslashreplace") for line in whole)
                self._news.notify_all()

    def _unread(self):
        """Whether the server has written what is not in the list yet."""
        if not self.process or self.process.stdout.closed:
            return False
        size = array.array("i", [0])
        fcntl.ioctl(self.process.stdout, termios.FIONREAD, size)
        return size[0] > 0

    def _ended(self):
        self.returncode = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        self.process.stdout.close()
        check_clean(self.output, "mta-stsd serve")

    @property
    def lines(self):
        """Lines of its output so far."""
        with self._news:
            self._news.wait_for(lambda: not self._unread(), DEADLINE)
            return list(self._lines)

    @property
    def output(self):
        return "\n".join(self.lines)

    def log(self, **match):
        """Log lines (as dicts) that have all of `match`."""
        parsed = map(parse_logfmt, self.lines)
        return [p for p in parsed if all(p.get(k) == str(v) for k, v in match.items())]

    def wait_for(self, pattern, count=1, deadline=DEADLINE):
        """Waits until `count` lines match; returns those lines."""
        pattern = re.compile(pattern)
        end = time.monotonic() + deadline
        with self._news:
            while True:
                found = [line for line in self._lines if pattern.search(line)]
                if len(found) >= count:
                    return found
                left = end - time.monotonic()
                ended = not self._reader.is_alive()
                assert left > 0 and not ended, f"no line {pattern.pattern!r} in:\n" + "\n".join(
                    self._lines
                )
                self._news.wait(min(left, 1.0))

    def address(self, index=0):
        """(host, port) of a listener, in the order of `listen`; a path for a Unix socket."""
        text = self.addresses[index]
        if text.startswith("unix:"):
            return text[len("unix:") :]
        host, _, port = text.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def port(self):
        return self.address()[1]

    @property
    def pid(self):
        return self.process.pid

    def descriptors(self):
        """How many descriptors it holds."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def watches(self):
        """How many watches it has with inotify(7)."""
        count = 0
        for path in pathlib.Path(f"/proc/{self.pid}/fdinfo").iterdir():
            try:
                count += path.read_text().count("inotify wd:")
            except FileNotFoundError:  # closed meanwhile
                pass
        return count

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, expect=0, how=signal.SIGTERM):
        """Ends it and asserts its exit code; harmless when it has ended already."""
        if self.process is None or self.returncode is not None:
            return self.returncode
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self._ended()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self._ended()
            raise AssertionError(f"did not end in {DEADLINE} s:\n{self.output}") from None
        assert self.returncode == expect, f"exit {self.returncode}:\n{self.output}"
        return self.returncode
