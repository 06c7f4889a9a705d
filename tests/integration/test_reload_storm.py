"""Changes in quick succession while many clients ask: few reloads, the last change wins, no request
fails, and nothing is left behind. Runs under the sanitizers, too."""

import os
import signal
import time

import pytest
from harness import DEADLINE
from harness.reload import FAST, SUBJECT, body, replace, text

pytestmark = pytest.mark.threads

CLIENTS = 6
CHANGES = 300
SETTLE = 0.1
AFTER_READY = 2  # inotify(7) and the index of certificates; what is lost would be lost 200 times
STORM = {"settle": "100ms", "settle_limit": "1s", "rescan": "1h"}


def load(s, *served):
    """More clients of the subject, which may be served any of `served`, too."""
    watchers = [s.watch(SUBJECT, body(1)) for _ in range(CLIENTS)] + [s.watcher]
    for watcher in watchers:
        watcher.announce(*served)
        watcher.more()
    return watchers


def finish(s, watchers, number):
    """All clients get the last version and, once all workers have it, nothing else."""
    for watcher in watchers:
        watcher.until(body(number))
    s.hangup()
    for watcher in watchers:
        watcher.settled()
        watcher.more(3)
        watcher.check()


def test_storm_of_changes(scene):
    """Reloads wait for quiet: there are no more than fit into the time of the storm."""
    s = scene(reload=STORM, workers=4)
    last = CHANGES + 1
    watchers = load(s, *(body(number) for number in range(2, last + 1)))
    begin = time.monotonic()
    before = len(s.reloads())
    for number in range(2, last + 1):
        replace(s.file, text(number))
        if number % 50 == 0:
            s.watcher.more()  # the clients have their turn
    for watcher in watchers:
        watcher.until(body(last))
    s.daemon.wait_for("event=reload result=done", before + 1)  # said after it is served
    elapsed = time.monotonic() - begin
    count = len(s.reloads()) - before
    finish(s, watchers, last)
    assert 1 <= count <= elapsed / SETTLE + 1, f"{count} reloads in {elapsed:.1f} s"


def test_storm_that_never_rests(scene):
    """A file that changes all the time starves nobody: the limit counts from the first change."""
    s = scene(reload={"settle": "10s", "settle_limit": "300ms", "rescan": "1h"}, workers=2)
    noise = s.directory / "noise.yaml"
    number = 0
    s.watcher.announce(body(2))
    s.change(replace, s.file, text(2))
    while s.watcher.current != body(2):
        number += 1
        replace(noise, text(number, "example.edu"))
        assert not s.watcher.faults, s.watcher.faults[0]
    assert number


def test_signals_under_load(scene):
    """200 times SIGHUP, each with a change; then descriptors and watches are as many as before."""
    s = scene(reload=STORM, workers=4)
    count = 200
    watchers = load(s, *(body(number) for number in range(2, count + 2)))
    s.hangup()
    watches = s.daemon.watches()
    before = len(s.reloads())
    for number in range(2, count + 2):
        replace(s.file, text(number))
        s.daemon.send_signal(signal.SIGHUP)
        s.daemon.wait_for("event=reload ", before + number - 1)
    finish(s, watchers, count + 1)
    assert s.daemon.watches() == watches
    check_idle_descriptors(s)


def test_nothing_is_left_behind(scene):
    """Directories and links that come and go 200 times: watches follow them, and end."""
    s = scene(reload=FAST)
    link, folders = s.root / "link", [s.root / "one", s.root / "two"]
    for folder in folders:
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "a.yaml").write_text(text(1))
    os.symlink("one", link)
    new = s.root / "swap"
    os.symlink("../link/deep/a.yaml", new)
    os.rename(new, s.file)
    s.hangup()
    s.stays()
    watches = s.daemon.watches()
    for number in range(2, 202):
        folder = folders[number % 2]
        replace(folder / "deep" / "a.yaml", text(number))
        os.symlink(folder.name, new)
        s.watcher.announce(body(number))
        os.rename(new, link)
        s.nudge()
        if number % 10 == 0:
            s.watcher.until(body(number))
    s.hangup()
    s.watcher.until(body(201))
    s.stays()
    assert s.daemon.watches() == watches
    check_idle_descriptors(s)


def check_idle_descriptors(s):
    """No more than at the start, where a file may still have been open, once no client is there."""
    s.leave()
    most = s.idle + AFTER_READY
    end = time.monotonic() + DEADLINE
    while s.daemon.descriptors() > most:
        assert time.monotonic() < end, f"{s.daemon.descriptors()} descriptors, once {s.idle}"
