"""File systems that tell of no change: only the slow look sees it (and a signal, at once)."""

import os
import signal
import subprocess

import pytest
from harness.reload import FAST, NEIGHBOUR, body, replace, text


@pytest.fixture
def mount():
    """mount(*arguments of mount(8), target): in the namespace of the test run, until its end. To be
    named before `scene`: the clients end first, because the server sees what is unmounted."""
    mounted = []

    def do(*arguments):
        subprocess.run(["mount", *map(str, arguments)], check=True)
        mounted.append(str(arguments[-1]))

    yield do
    for target in reversed(mounted):
        subprocess.run(["umount", "--lazy", target], check=True)


def overlay(mount, s):
    """tenants.d as containers see a directory of their image; returns the layer below."""
    base = s.root / "layers"
    base.mkdir()
    mount("-t", "tmpfs", "none", base)
    lower, upper, work = base / "lower", base / "upper", base / "work"
    for folder in lower, upper, work:
        folder.mkdir()
    (lower / "a.yaml").write_text(text(1))
    (lower / "b.yaml").write_text(text(1, NEIGHBOUR))
    options = f"lowerdir={lower},upperdir={upper},workdir={work},userxattr"
    mount("-t", "overlay", "-o", options, "none", s.directory)
    return lower


def test_lower_layer_of_an_overlay(mount, scene):
    """Events are of the overlay's own inodes; who writes below makes none there."""
    layers = []
    s = scene(reload=FAST, arrange=lambda s: layers.append(overlay(mount, s)))
    (lower,) = layers
    for number in 2, 3:
        s.becomes(number, (lower / "a.yaml").write_text, text(number))


def test_upper_layer_of_an_overlay(mount, scene):
    """What is changed through the overlay makes events, also at the copy-up."""
    s = scene(arrange=lambda s: overlay(mount, s))
    for number in 2, 3:
        s.becomes(number, s.file.write_text, text(number))
    s.becomes(4, replace, s.file, text(4))


def test_file_mounted_into_a_container(mount, scene):
    """A bind mount of one file: its name on the other side is in a directory nobody watches."""
    s = scene(reload=FAST, start=False)
    host = s.root / "host.yaml"
    host.write_text(text(1))
    mount("--bind", host, s.file)
    s.start()
    for number in 2, 3:
        s.becomes(number, host.write_text, text(number))


def test_directory_mounted_into_a_container(mount, scene):
    """The same inodes on both sides: events tell."""
    s = scene(start=False)
    host = s.root / "host"
    os.rename(s.directory, host)
    s.directory.mkdir()
    mount("--bind", host, s.directory)
    s.start()
    for number in 2, 3:
        s.becomes(number, replace, host / "a.yaml", text(number))


def test_mounted_over(mount, scene):
    """A mount makes no event in the directory that it covers."""
    s = scene(reload=FAST)
    new = s.root / "new"
    new.mkdir()
    (new / "a.yaml").write_text(text(2))
    (new / "b.yaml").write_text(text(1, NEIGHBOUR))
    s.becomes(2, mount, "--bind", new, s.directory)
    s.becomes(3, replace, s.file, text(3))


def test_unmounted(mount, scene):
    """An empty mount point is what remains when a volume is lost: no removal."""
    s = scene(reload=FAST, start=False)
    host = s.root / "host"
    os.rename(s.directory, host)
    s.directory.mkdir()
    subprocess.run(["mount", "--bind", host, s.directory], check=True)
    s.start()
    s.stays(subprocess.run, ["umount", "--lazy", s.directory])
    s.hangup()
    assert s.diagnostics(code="file-gone")
    replace(host / "a.yaml", text(2))
    s.becomes(2, mount, "--bind", host, s.directory)


def test_a_signal_instead_of_waiting(mount, scene):
    layers = []
    s = scene(arrange=lambda s: layers.append(overlay(mount, s)))
    (layers[0] / "a.yaml").write_text(text(2))
    s.watcher.announce(body(2))
    s.daemon.send_signal(signal.SIGHUP)
    s.watcher.until(body(2))


def test_read_only_remount(mount, scene):
    """What a failing disk does: nothing can be written, everything can be read."""
    s = scene(start=False)
    host = s.root / "host"
    os.rename(s.directory, host)
    s.directory.mkdir()
    mount("--bind", host, s.directory)
    s.start()
    subprocess.run(["mount", "-o", "remount,bind,ro", s.directory], check=True)
    s.stays()
    s.becomes(2, replace, host / "a.yaml", text(2))
