"""Directories that come and go, and links that are swapped far away from the file."""

import os
import shutil

import pytest
from harness.reload import NEIGHBOUR, body, replace, text

NEIGHBOURS = text(1, NEIGHBOUR)


def swap(link, target):
    """Replaces a link as a whole, like ln -sfn does not."""
    temporary = link.with_name("..swap")
    os.symlink(target, temporary)
    os.rename(temporary, link)


def config_map(folder, names):
    """Turns a folder into the volume of a ConfigMap, as the kubelet makes it."""
    first = folder / "..2024_01_01_00_00_00.1"
    first.mkdir()
    for name in names:
        os.rename(folder / name, first / name)
        os.symlink(f"..data/{name}", folder / name)
    os.symlink(first.name, folder / "..data")


def update_config_map(folder, number, files):
    """A new directory, the link ..data swapped, the old directory removed."""
    old = os.readlink(folder / "..data")
    new = folder / f"..2024_01_01_00_00_00.{number}"
    new.mkdir()
    for name, content in files.items():
        (new / name).write_text(content)
    swap(folder / "..data", new.name)
    shutil.rmtree(folder / old)


# --- Kubernetes ----------------------------------------------------------------------------------


def test_config_map_of_tenants(scene):
    s = scene(arrange=lambda s: config_map(s.directory, ["a.yaml", "b.yaml"]))
    for number in 2, 3, 4:
        files = {"a.yaml": text(number), "b.yaml": NEIGHBOURS}
        s.becomes(number, update_config_map, s.directory, number, files)
    assert not s.diagnostics(level="error")


def test_config_map_of_the_main_file(scene):
    """The main file is a link to ..data/mta-stsd.yaml; what it includes is elsewhere."""

    def arrange(s):
        s.file.unlink()
        settings.append(s.main.read_text())
        s.main.write_text(settings[0] + text(1))
        config_map(s.root, [s.main.name])

    settings = []
    s = scene(arrange=arrange)
    for number in 2, 3, 4:
        files = {s.main.name: settings[0] + text(number)}
        s.becomes(number, update_config_map, s.root, number, files)


def test_config_map_that_loses_a_tenant(scene):
    """A key removed from the ConfigMap: first its link leads nowhere, then it is gone."""
    s = scene(arrange=lambda s: config_map(s.directory, ["a.yaml", "b.yaml"]))
    s.stays(update_config_map, s.directory, 2, {"b.yaml": NEIGHBOURS})
    s.disappears(s.file.unlink)


# --- Symbolic links ------------------------------------------------------------------------------


def test_link_to_the_file(scene):
    """certbot: live/ links to archive/, and is renewed by another link."""
    s = scene()
    archive = s.root / "archive"
    archive.mkdir()
    for number in 2, 3, 4:
        (archive / f"a{number}.yaml").write_text(text(number))
        s.becomes(number, swap, s.file, f"../archive/a{number}.yaml")
    s.becomes(5, replace, archive / "a4.yaml", text(5))


def test_link_removed_and_made_again(scene):
    """ln -sf: for a moment there is no link."""
    s = scene(reload={"settle": "1s", "settle_limit": "10s", "rescan": "1h"})
    (s.root / "two").write_text(text(2))

    def again():
        s.file.unlink()
        os.symlink("../two", s.file)

    s.becomes(2, again)


def test_link_to_the_directory(scene):
    def arrange(s):
        os.rename(s.directory, s.root / "v1")
        os.symlink("v1", s.directory)

    s = scene(arrange=arrange)
    for number in 2, 3, 4:
        version = s.root / f"v{number}"
        version.mkdir()
        (version / "a.yaml").write_text(text(number))
        (version / "b.yaml").write_text(NEIGHBOURS)
        s.becomes(number, swap, s.directory, version.name)
        shutil.rmtree(s.root / f"v{number - 1}")
        s.stays()
    s.becomes(5, replace, s.root / "v4" / "a.yaml", text(5))


def test_link_of_a_parent(scene):
    """Releases: current -> releases/2, and everything below it is another directory."""

    def arrange(s):
        (s.root / "releases" / "1").mkdir(parents=True)
        os.rename(s.directory, s.root / "releases" / "1" / "tenants.d")
        os.symlink("releases/1", s.root / "current")
        os.symlink("current/tenants.d", s.directory)

    s = scene(arrange=arrange)
    for number in 2, 3, 4:
        release = s.root / "releases" / str(number) / "tenants.d"
        release.mkdir(parents=True)
        (release / "a.yaml").write_text(text(number))
        (release / "b.yaml").write_text(NEIGHBOURS)
        s.becomes(number, swap, s.root / "current", f"releases/{number}")


def test_chain_of_links(scene):
    """Each link of the chain lies in a directory of its own; the middle one is swapped."""
    s = scene()
    for name in "one", "two", "three":
        (s.root / name).mkdir()
    os.symlink("../three/2", s.root / "two" / "a")
    os.symlink("../two/a", s.root / "one" / "a")
    (s.root / "three" / "2").write_text(text(2))
    (s.root / "three" / "3").write_text(text(3))
    s.becomes(2, swap, s.file, "../one/a")
    s.becomes(3, swap, s.root / "two" / "a", "../three/3")
    s.becomes(4, replace, s.root / "three" / "3", text(4))
    (s.root / "one" / "b").write_text(text(5))
    s.becomes(5, swap, s.root / "one" / "a", "b")


def test_link_that_leads_nowhere(scene):
    """A file that is there and cannot be read is no removal."""
    s = scene()
    s.stays(swap, s.file, "nowhere.txt")
    s.becomes(2, (s.directory / "nowhere.txt").write_text, text(2))


def test_link_loop(scene):
    s = scene()
    s.stays(swap, s.file, "a.yaml")
    s.becomes(2, replace, s.file, text(2))


# --- Directories ---------------------------------------------------------------------------------


def test_directory_replaced_by_rename(scene):
    s = scene()
    for number in 2, 3, 4:
        new = s.root / "new.d"
        new.mkdir()
        (new / "a.yaml").write_text(text(number))
        (new / "b.yaml").write_text(NEIGHBOURS)

        def exchange(old=s.root / f"old{number}", new=new):
            with s.paused():
                os.rename(s.directory, old)
                os.rename(new, s.directory)

        s.becomes(number, exchange)
    s.becomes(5, replace, s.file, text(5))


def test_directory_vanishes(scene):
    """A file that disappears together with its directory is no removal either."""
    s = scene()
    away = s.root / "away"
    s.stays(os.rename, s.directory, away)
    s.stays(shutil.rmtree, away)
    s.stays()

    def again():
        with s.paused():
            s.directory.mkdir()
            s.neighbour_file.write_text(NEIGHBOURS)
            s.file.write_text(text(2))

    s.becomes(2, again)
    assert s.diagnostics(code="source-kept") and s.diagnostics(code="file-gone")


def test_directory_comes_back_by_rename(scene):
    """As it was: the watch of the old directory is of use again, or another one."""
    s = scene()
    away = s.root / "away"
    s.stays(os.rename, s.directory, away)
    replace(away / "a.yaml", text(2))
    s.becomes(2, os.rename, away, s.directory)
    s.becomes(3, replace, s.file, text(3))


@pytest.mark.parametrize("times", [1, 3])
def test_directory_removed_and_recreated(scene, times):
    """IN_IGNORED: the watch is gone, and nothing tells of the new directory."""
    s = scene()

    def again(number):
        with s.paused():
            shutil.rmtree(s.directory)
            s.directory.mkdir()
            s.neighbour_file.write_text(NEIGHBOURS)
            s.file.write_text(text(number))

    for number in range(2, 2 + times):
        s.becomes(number, again, number)
    s.becomes(7, replace, s.file, text(7))


def test_directory_removed_and_not_filled_yet(scene):
    """rm -r and mkdir, and then it takes its time: the new directory is empty for a while."""
    s = scene()

    def again():
        with s.paused():
            shutil.rmtree(s.directory)
            s.directory.mkdir()  # ext4 and others use the number of the inode again

    s.stays(again)
    s.hangup()
    assert s.diagnostics(code="file-gone")

    def fill():
        with s.paused():
            s.neighbour_file.write_text(NEIGHBOURS)
            s.file.write_text(text(2))

    s.becomes(2, fill)


def test_directory_emptied_on_purpose(scene):
    """The same directory without any file: they were removed."""
    s = scene(arrange=lambda s: os.rename(s.neighbour_file, s.sentinel_file.with_name("b.yaml")))
    s.disappears(s.file.unlink)
    assert not list(s.directory.iterdir())
    s.becomes(2, s.file.write_text, text(2))


def test_directory_of_the_main_file_replaced(scene):
    """Everything is elsewhere for a moment, and what comes back is another directory."""
    s = scene()
    away, new = s.root.with_name("away"), s.root.with_name("new")
    shutil.copytree(s.root, new, symlinks=True, ignore=shutil.ignore_patterns(".ready"))
    (new / "tenants.d" / "a.yaml").write_text(text(2))

    def exchange():
        with s.paused():
            os.rename(s.root, away)
            os.rename(new, s.root)

    s.becomes(2, exchange)
    s.becomes(3, replace, s.file, text(3))


def test_directory_that_did_not_exist(scene):
    """An include of a directory that is made later."""
    s = scene(arrange=lambda s: (s.file.unlink(), s.main.write_text(
        s.main.read_text() + "- later/deep/*.yaml\n")), start=False)
    s.daemon.start()
    s.neighbour = s.watch(NEIGHBOUR, body(1, NEIGHBOUR))
    s.watcher = s.watch("example.org", None)
    folder = s.root / "later" / "deep"
    s.change(folder.mkdir, 0o777, True)
    s.becomes(2, (folder / "a.yaml").write_text, text(2))
