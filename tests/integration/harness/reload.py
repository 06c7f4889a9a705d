"""A server whose files change while clients watch: what every test of live reload stands on."""

import contextlib
import os
import pathlib
import signal

import yaml

from . import BINARY
from .daemon import Daemon
from .watcher import ABSENT, Watcher

SUBJECT, NEIGHBOUR, SENTINEL = "example.org", "example.net", "example.com"
FAST = {"settle": "20ms", "settle_limit": "200ms", "rescan": "1s"}
# Rescans do not help: what is seen is seen by events.
EVENTS = {"settle": "20ms", "settle_limit": "200ms", "rescan": "1h"}


def policy(number, domain=SUBJECT, max_age=604800):
    """The keys of a tenant, version `number`. Versions below 10 have the same size."""
    return {"mode": "testing", "mx": [f"mx{number}.{domain}"], "max_age": max_age}


def text(number, domain=SUBJECT, **options):
    """A file with one tenant."""
    return yaml.safe_dump({"tenants": {domain: policy(number, domain, **options)}})


def body(number, domain=SUBJECT, max_age=604800):
    """What is served for it."""
    lines = ("version: STSv1", "mode: testing", f"mx: mx{number}.{domain}", f"max_age: {max_age}")
    return "".join(line + "\r\n" for line in lines).encode()


def replace(path, content):
    """The way files should be replaced: whole, by rename."""
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.new")
    if isinstance(content, str):
        content = content.encode()
    temporary.write_bytes(content)
    os.rename(temporary, path)


class Scene:
    """A server with three tenants in files of their own below `root`:

    tenants.d/a.yaml  the subject, which a test changes; `watcher` fetches it without a pause
    tenants.d/b.yaml  its neighbour, whose watcher must never notice anything
    other.d/z.yaml    the sentinel: once a change of it is served, everything before was looked at

    Versions are numbers; the subject begins with 1.
    """

    watches = b"inotify_init1" in BINARY.read_bytes()

    def __init__(self, root, config, certs, *, reload=None, arrange=None, workers=1, first=1,
                 tls=True, ledger=None, env=None, preexec=None):
        self.root = pathlib.Path(root)
        self.root.mkdir()
        self.main = self.root / "mta-stsd.yaml"
        self.directory = self.root / "tenants.d"
        self.file = self.directory / "a.yaml"
        self.neighbour_file = self.directory / "b.yaml"
        self.sentinel_file = self.root / "other.d" / "z.yaml"
        for folder in self.directory, self.sentinel_file.parent:
            folder.mkdir()
        self.file.write_text(text(1))
        self.neighbour_file.write_text(text(1, NEIGHBOUR))
        self.sentinel_file.write_text(text(1, SENTINEL))
        self._sentinels = 1
        self.ledger = ledger or self.root.with_suffix(".db")
        self.config = config | {
            "ledger": str(self.ledger),
            "reload": reload or EVENTS,
            "access_log": False,
            "limits": {"workers": workers},
            "include": ["tenants.d/*.yaml", "other.d/*.yaml"],
        }
        if not tls:
            del self.config["certificates"]
            self.config["listen"] = [{"address": "127.0.0.1:0", "tls": False}]
        self.main.write_text(yaml.safe_dump(self.config, sort_keys=False))
        if arrange:
            arrange(self)
        self.ca = certs.ca if tls else None
        self._watchers = []
        self._ordered = workers == 1
        self._first = first if first is ABSENT else body(first)
        self.daemon = Daemon(None, self.root, env=env, preexec=preexec)

    def start(self):
        self.daemon.start()
        self.idle = self.daemon.descriptors()
        self.watcher = self.watch(SUBJECT, self._first)
        self.neighbour = self.watch(NEIGHBOUR, body(1, NEIGHBOUR))
        self.sentinel = self.watch(SENTINEL, body(self._sentinels, SENTINEL))
        for watcher in self._watchers:
            watcher.until(watcher.first)
        return self

    def restart(self, first, how=signal.SIGTERM, meanwhile=None):
        """Ends the server and starts it again; the subject is to be served as version `first`."""
        self.close(expect=0 if how == signal.SIGTERM else -how, how=how)  # may be done already
        if meanwhile:
            meanwhile()
        self._first = first if first is ABSENT else body(first)
        self.daemon = self.daemon.again()
        return self.start()

    def watch(self, domain, served, kind=Watcher):
        """One more client that fetches in a loop, judged at the end."""
        watcher = kind(self.daemon.address(), f"mta-sts.{domain}", self.ca, served,
                       ordered=self._ordered)
        self._watchers.append(watcher)
        return watcher

    def hangup(self):
        """SIGHUP; returns the log line of a reload that began from now on.

        The first line may be of a reload that was under way, so the second one is waited for.
        """
        count = len(self.reloads())
        for _ in range(2):
            count += 1
            self.daemon.send_signal(signal.SIGHUP)
            self.daemon.wait_for("event=reload ", count)
        return self.daemon.wait_for("event=reload ", count)[count - 1]

    def reloads(self):
        return self.daemon.log(event="reload")

    def change(self, action, *arguments):
        """A change on disk, which the server must notice by itself."""
        action(*arguments)
        self.nudge()

    def nudge(self):
        if not self.watches:
            self.daemon.send_signal(signal.SIGHUP)

    def becomes(self, number, action, *arguments, **options):
        """Changes files so that version `number` of the subject is served soon."""
        served = body(number, **options)
        self.watcher.announce(served)
        self.change(action, *arguments)
        self.watcher.until(served)

    def disappears(self, action, *arguments):
        """Changes files so that the subject is gone soon."""
        self.watcher.announce(ABSENT)
        self.change(action, *arguments)
        self.watcher.until(ABSENT)

    def look(self):
        """Returns when the server has looked at everything that is on disk now."""
        self._sentinels += 1
        served = body(self._sentinels, SENTINEL)
        self.sentinel.announce(served)
        self.change(replace, self.sentinel_file, text(self._sentinels, SENTINEL))
        self.sentinel.until(served)

    def stays(self, action=None, *arguments):
        """Changes files in a way that must not change what is served."""
        if action:
            self.change(action, *arguments)
        self.look()
        self.watcher.more()
        self.watcher.check()

    @contextlib.contextmanager
    def paused(self):
        """The server stands still meanwhile: it sees all changes at once, or none."""
        self.daemon.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.daemon.send_signal(signal.SIGCONT)

    def diagnostics(self, **match):
        return self.daemon.log(event="diagnostic", **match)

    def close(self, expect=0, how=signal.SIGTERM):
        """Ends the clients, then the server; fails when any client saw anything wrong."""
        try:
            self.leave()
        finally:
            self.daemon.stop(expect, how)

    def leave(self):
        """Ends the clients, and fails when any saw anything wrong."""
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher.close()
        for watcher in watchers:
            watcher.check()

