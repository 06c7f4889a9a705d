"""The Makefile keeps its promises: no network when nothing is missing, a whole installation."""

import os
import re
import shutil
import subprocess

import pytest
import yaml
from harness import DEADLINE, TOP

pytestmark = pytest.mark.once


def make(*args, cwd=TOP, **variables):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", "--no-print-directory", *args], cwd=cwd, env=env | variables,
        capture_output=True, text=True, timeout=DEADLINE * 5, check=False,
    )  # fmt: skip


# What a minimal Debian has; whatever else a target wants, it must have installed before.
ESSENTIAL = ("awk bash chmod chown cmp cp cut dirname env find flock getconf grep head id install ln "
             "ls make mkdir mktemp nproc rm sed sh sort stat tail touch tr true uname wc xargs")  # fmt: skip

# The database of packages is a folder with a file for each.
DPKG_QUERY = """#!/bin/bash
for package in "${@:3}"; do [ ! -e "$MACHINE/packages/$package" ] || printf 'installed:%s ' "$package"; done
"""

# apt-get(8) that installs: the commands of a package are of the same name, gcc's are more. Both it
# and they write down that they were called, in one file.
APT_GET = """#!/bin/bash
echo "apt-get $*" >>"$MACHINE/calls"
[ "$1" = install ] || exit 0
mkdir "$MACHINE/lock" || exit 100
for package in "${@:2}"; do
    case $package in
        -*) continue ;;
        gcc | clang) commands="$package ar" ;;
        *) commands=$package ;;
    esac
    for command in $commands; do cp "$MACHINE/command" "$MACHINE/bin/$command"; done
    touch "$MACHINE/packages/$package"
done
rmdir "$MACHINE/lock"
"""

# Every installed command makes what it is asked for: the file of -o, the archive of ar.
COMMAND = """#!/bin/bash
echo "${0##*/} $*" >>"$MACHINE/calls"
while [ $# -gt 0 ]; do
    case $1 in -o) touch "$2" ;; rcs) touch "$2" ;; esac
    shift
done
"""


@pytest.fixture
def machine(tmp_path):
    """A machine without a compiler: machine.make("target"), then machine.calls and .installed."""
    return Machine(tmp_path / "machine")


class Machine:
    def __init__(self, top):
        self.top, self.bin = top, top / "bin"
        self.bin.mkdir(parents=True)
        (top / "packages").mkdir()
        for name in [*ESSENTIAL.split(), "rmdir"]:
            (self.bin / name).symlink_to(shutil.which(name))
        self.write("bin/dpkg-query", DPKG_QUERY)
        self.write("bin/apt-get", APT_GET)
        self.write("bin/sudo", '#!/bin/bash\nexec "$@"\n')
        self.write("command", COMMAND)

    def write(self, name, text):
        (self.top / name).write_text(text)
        (self.top / name).chmod(0o755)

    def install(self, *commands):
        for name in commands:
            shutil.copy(self.top / "command", self.bin / name)

    def make(self, *args, cwd=TOP, objects="objects"):
        return make("-j8", f"B={self.top}/{objects}", *args, cwd=cwd, PATH=str(self.bin),
                    MACHINE=str(self.top))

    @property
    def calls(self):
        calls = self.top / "calls"
        return [line.split() for line in calls.read_text().splitlines()] if calls.exists() else []

    @property
    def installed(self):
        return {package.name for package in (self.top / "packages").iterdir()}


BUILDS = {
    "all": ("all",),
    "install": ("install",),
    "everything": ("everything",),
    "everything of fuzz": ("BUILD=fuzz", "everything"),
    "clang": ("CC=clang",),
}


@pytest.mark.parametrize("build", BUILDS)
def test_a_machine_without_compiler(machine, build):
    """Nothing is compiled before the packages are there, however many jobs run at a time; the
    second time nothing is installed and nothing compiled."""
    destination = f"DESTDIR={machine.top}/root"
    done = machine.make(*BUILDS[build], destination)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-2000:] + done.stderr
    first = [call[0] for call in machine.calls]
    assert first[:2] == ["apt-get", "apt-get"]
    compiler = "clang" if "fuzz" in build or build == "clang" else "gcc"
    assert {"pkg-config", compiler, "libh2o-evloop-dev"} <= machine.installed
    assert ("libcmocka-dev" in machine.installed) == ("everything" in build)
    assert "curl" not in machine.installed  # it compiles nothing
    assert compiler in first and ({"gcc", "clang"} - {compiler}).isdisjoint(first)

    again = machine.make(*BUILDS[build], destination)
    assert (again.returncode, again.stderr) == (0, "")
    assert [call[0] for call in machine.calls] == first


def test_packages_of_several_targets(machine):
    """apt-get refuses to run twice at a time: jobs wait for each other, and none asks for what
    another has installed meanwhile."""
    done = machine.make("bench-deps", "lint-deps", "fuzz-deps", "deps", "unit-deps")
    assert done.returncode == 0, done.stdout + done.stderr
    asked = [package for call in machine.calls if call[1] == "install" for package in call[2:]]
    packages = [package for package in asked if not package.startswith("-")]
    assert len(packages) == len(set(packages)) and set(packages) == machine.installed


@pytest.mark.parametrize("target", ["help", "clean", "-n"])
def test_what_installs_nothing(machine, tmp_path, target):
    """On a copy, since `make clean` is one of them."""
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(TOP / "Makefile", copy)
    for folder in ("server", "include", "packaging", "tests/unit"):
        shutil.copytree(TOP / folder, copy / folder)
    arguments = ("-n", "all") if target == "-n" else (target,)
    done = machine.make(*arguments, cwd=copy)
    assert (done.returncode, done.stderr, machine.calls) == (0, "", [])


def test_nothing_is_installed_when_told_so(machine):
    """The compiler's own message says what is missing."""
    done = machine.make("DEPS=no")
    assert done.returncode == 2 and "gcc: command not found" in done.stderr
    assert machine.calls == []


def test_a_machine_that_is_not_debian(machine):
    """It says what Debian would install, and goes on: the packages may be there by other names."""
    for name in ("dpkg-query", "apt-get"):
        (machine.bin / name).unlink()
    machine.install("gcc", "ar", "pkg-config")
    done = machine.make()
    assert (done.returncode, done.stderr) == (0, "")
    assert "no apt-get here to install, as Debian calls them: gcc libc6-dev" in done.stdout


def test_root_leaves_a_checkout_to_its_user(machine, tmp_path):
    """`sudo make install` without a `make` before: the user's next make can write what it made."""
    copy = tmp_path / "copy"
    shutil.copytree(TOP, copy, ignore=shutil.ignore_patterns(".git", "build", "tests", "out"))
    try:
        os.chown(copy, 65534, 65534)
    except OSError:
        pytest.skip("only one user in this namespace")
    done = machine.make("B=build/release", f"DESTDIR={tmp_path}/root", "install", cwd=copy)
    assert done.returncode == 0, done.stderr
    made = [copy / "build", *(copy / "build").rglob("*")]
    assert len(made) > 100 and {path.lstat().st_uid for path in made} == {65534}


@pytest.mark.skipif("MTA_STS_NAMESPACE" not in os.environ, reason="run by tests/integration/run")
@pytest.mark.parametrize("target", ["deps", "test-deps"])
def test_nothing_missing_needs_no_network_and_says_nothing(target):
    done = make(target)  # only loopback is reachable here
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_install_below_destdir(tmp_path):
    done = make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/sts")
    assert done.returncode == 0, done.stderr
    files = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert all(name.startswith("opt/sts/") for name in files)
    program = tmp_path / "opt/sts/bin/mta-stsd"
    assert subprocess.run([program, "version"], capture_output=True, check=False).returncode == 0
    for page in (TOP / "packaging").glob("man/*.[1-9]"):
        assert f"opt/sts/share/man/man{page.suffix[1:]}/{page.name}" in files
    for unit in (TOP / "packaging").glob("systemd/*.service"):
        text = (tmp_path / "opt/sts/lib/systemd/system" / unit.name).read_text()
        assert re.findall(r"^ExecStart=(\S+)", text, re.M) == ["/opt/sts/bin/mta-stsd"]
    for example in (TOP / "config").rglob("*.yaml"):
        assert f"opt/sts/share/doc/mta-stsd/examples/{example.relative_to(TOP / 'config')}" in files
    for hook in (TOP / "packaging").glob("hooks/*"):
        mode = (tmp_path / "opt/sts/share/mta-stsd/hooks" / hook.name).stat().st_mode & 0o777
        assert mode == (0o755 if os.access(hook, os.X_OK) else 0o644)


# An /etc and a /var/lib of one's own, with the state of a version that ran as root, or as a user of
# the operator's; only the commands in $1 are there.
INSTALL = """set -e
mount --make-rprivate / 2>/dev/null || :
cp -a /etc "$1/etc"
mount --bind "$1/etc" /etc
mount -t tmpfs tmpfs /var/lib
state=/var/lib/mta-stsd
if [ "$2" != none ]; then
    mkdir -m 755 $state
    touch $state/ledger.db
    ln -s /etc/hostname $state/link
    chown -hR "$2:" $state
fi
for turn in first second; do
    PATH=$1/bin make --no-print-directory DEPS=no "PREFIX=$1/usr" "B=$1/objects" install >/dev/null
done
grep ^mta-stsd: /etc/passwd | cut -d: -f1,6,7
id -gn mta-stsd
stat -c '%n %U %G %a' $state
find $state -mindepth 1 -printf '%f %u\n' | sort
stat -c '%n %U' /etc/hostname /etc/mta-stsd
"""


@pytest.mark.parametrize("owner, tool", [
    ("none", "systemd-sysusers"), ("root", "systemd-sysusers"), ("nobody", "systemd-sysusers"),
    ("root", "useradd"),
])  # fmt: skip
def test_install_makes_the_user_of_the_unit(machine, owner, tool):
    """State of root's is given to that user, that of another user is not; once more changes nothing."""
    try:
        os.chown(machine.top, 65534, 65534)
    except OSError:
        pytest.skip("only one user in this namespace")
    (machine.bin / tool).symlink_to(shutil.which(tool))
    machine.install("gcc", "ar", "pkg-config")
    unshare = ["unshare", "--mount", "--propagation", "unchanged", "--", "bash", "-c", INSTALL, "sh"]
    done = subprocess.run([*unshare, machine.top, owner], cwd=TOP, text=True, timeout=DEADLINE,
                          env={"PATH": os.environ["PATH"], "MACHINE": str(machine.top)},
                          capture_output=True, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith("Creating ")]
    assert (done.returncode, said) == (0, [])
    user, group, state, *rest = done.stdout.splitlines()
    assert user == "mta-stsd:/var/lib/mta-stsd:/usr/sbin/nologin" and group == "mta-stsd"
    keeper = "nobody nogroup" if owner == "nobody" else "mta-stsd mta-stsd"
    assert state == f"/var/lib/mta-stsd {keeper} 700"
    held = [] if owner == "none" else [f"{name} {keeper.split()[0]}" for name in ("ledger.db", "link")]
    assert rest == [*held, "/etc/hostname root", "/etc/mta-stsd root"]


def test_installed_hook_is_where_the_example_says(tmp_path):
    """With a PREFIX of one's own, too; it runs, and its README names itself."""
    assert make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/sts").returncode == 0
    share = tmp_path / "opt/sts/share"
    example = yaml.safe_load((share / "doc/mta-stsd/examples/mta-stsd.yaml").read_text())
    hook = example["on_change"][0]
    assert hook.startswith("/opt/sts/share/mta-stsd/hooks/")
    assert hook in (share / "mta-stsd/hooks/README.md").read_text()
    assert hook in (share / "man/man8/mta-stsd.8").read_text()
    done = subprocess.run([f"{tmp_path}{hook}", share / "mta-stsd/hooks/nsupdate.conf.example"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "/etc/mta-stsd/tsig.key: cannot be read" in done.stderr


def test_help_lists_what_the_readme_names():
    done = make("help")
    listed = set(re.findall(r"^make (\S+)", done.stdout, re.M))
    readme = TOP / "README.md"
    named = set(re.findall(r"\bmake ([a-z-]+)`", readme.read_text())) if readme.exists() else set()
    assert named | {"deps", "test-deps", "run", "test", "check", "lint", "fuzz"} <= listed
