"""The Makefile keeps its promises: no network when nothing is missing, a whole installation."""

import os
import re
import subprocess

import pytest
import yaml
from harness import DEADLINE, TOP

pytestmark = pytest.mark.once


def make(*args):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", "--no-print-directory", *args],
        cwd=TOP, env=env, capture_output=True, text=True, timeout=DEADLINE * 5, check=False,
    )  # fmt: skip


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
