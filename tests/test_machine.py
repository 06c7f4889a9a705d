"""The machine of the tests must notice each kind of change, and let through what is allowed."""

import os
import pathlib
import subprocess
import tempfile

import pytest

TOP = pathlib.Path(__file__).resolve().parents[1]

# In shell, with the place as $1; what is said, with the place as {}.
CHANGES = {
    "a new file": ("echo >$1/new", "was written: {}/new"),
    "a file in a new folder": ("mkdir -p $1/a/b; echo >$1/a/b/c", "was written: {}/a/b/c"),
    "an empty folder": ("mkdir $1/empty", "was written: {}/empty"),
    "a link": ("ln -s / $1/link", "was written: {}/link"),
    "a changed file": ("echo >>$1/old", "was written: {}/old"),
    "a removed file": ("rm $1/old", "was written: {}/old"),
    "a removed folder": ("rm -r $1/folder", "was written: {}/folder"),
    "another mode": ("chmod 600 $1/old", "was written: {}/old"),
    "another mode of a folder": ("chmod 700 $1/folder", "was written: {}/folder"),
    "an emptied folder": ("rm -r $1/folder; mkdir $1/folder", "was written: {}/folder"),
    "another name": ("mv $1/old $1/folder/", "was written: {0}/folder/old\nwas written: {0}/old"),
    "a file in /tmp": ("echo >/tmp/left", "was written: /tmp/left"),
    "a mount": ("mount -t tmpfs none $1/folder", "is mounted: {}/folder"),
    "a daemon": ("setsid sleep 12345 >/dev/null 2>&1 &", "still runs: sleep 12345"),
    "its child": ("setsid sh -c 'sleep 12346; :' >/dev/null 2>&1 &",
                  "still runs: sh -c sleep 12346; :\nstill runs: sleep 12346"),
}  # fmt: skip

ALLOWED = {
    "nothing": ":",
    "reading": "cat $1/old >/dev/null; ls -R $1 >/dev/null",
    "what is taken away again": "echo >$1/new; rm $1/new; echo >/tmp/left; rm /tmp/left",
    "the same in a folder": "echo >$1/folder/new; rm $1/folder/new",
    "the folders of pytest": "mkdir /tmp/pytest-of-somebody",
    "the checkout": 'touch "$(dirname "$1")/beside"',
    "a process that ends": "sh -c 'exec >/dev/null 2>&1; setsid sh -c : & exit'",
}


@pytest.fixture
def place():
    (TOP / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOP / "build") as folder:
        path = pathlib.Path(folder, "place")
        (path / "folder").mkdir(parents=True)
        (path / "folder/inner").write_text("inner")
        (path / "old").write_text("old")
        (path / "old").chmod(0o644)
        yield path


def state(place):
    return {p: (p.lstat().st_mode, p.lstat().st_mtime_ns) for p in [place, *place.rglob("*")]}


def run(place, script, **environment):
    """(exit code, what is said); the place itself is as before."""
    before = state(place)
    done = subprocess.run(
        [TOP / "tests/machine.py", place.parent / "own", place, "--", "sh", "-c", script, "sh", place],
        env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == "" and state(place) == before
    return done.returncode, done.stdout


@pytest.mark.parametrize("change", CHANGES)
def test_change_is_noticed(place, change):
    if change == "a mount" and os.geteuid() != 0:
        pytest.skip("only root mounts something")
    script, said = CHANGES[change]
    # What never ends is not waited for as long as what is about to.
    assert run(place, script, MTA_STS_GRACE="0.2") == (1, said.format(place) + "\n")


@pytest.mark.parametrize("case", ALLOWED)
def test_allowed_is_let_through(place, case):
    assert run(place, ALLOWED[case]) == (0, "")


def test_exit_code_is_of_the_command(place):
    assert run(place, "exit 7") == (7, "")


def test_without_layers_nothing_runs(place):
    """No run, and not one that is not checked; overlayfs takes a colon for the end of a path."""
    other = place.rename(place.parent / "with:colon")
    done = subprocess.run(
        [TOP / "tests/machine.py", other.parent / "own", other, "--", "echo", "it ran"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "") and "it needs overlayfs" in done.stderr
