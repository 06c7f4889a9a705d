"""`check` says what a reload would do, and a reload does it."""

import json
import signal

import pytest
import yaml

from test_serve import PLAIN, get, tenant

EDITS = {
    "nothing": lambda c: None,
    "another mode": lambda c: c["tenants"]["a.example"].update(mode="enforce"),
    "a mistake": lambda c: c["tenants"]["a.example"].update(mode="enforced"),
    "one more": lambda c: c["tenants"].update({"n.example": tenant()}),
    "one less": lambda c: c["tenants"].pop("b.example"),
    "retired": lambda c: c["tenants"]["a.example"].update(retire=True),
    "another mx and one less": lambda c: (c["tenants"]["a.example"].update(mx=["mx9.example.org"]),
                                          c["tenants"].pop("b.example")),
    "strict with a mistake": lambda c: (c["tenants"]["a.example"].update(mode="x"),
                                        c["tenants"].pop("b.example"), c.update(strict=True)),
}


def bodies(daemon, names):
    """What is served of each: the body, or None."""
    result = {}
    for name in names:
        response = get(daemon, name)
        result[name] = response.body.decode() if response.status == 200 else None
    return result


def edit(daemon, change, path):
    """The configuration with a change, in another file of the same folder."""
    config = yaml.safe_load(daemon.config.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize("name", EDITS)
def test_a_reload_does_what_check_says(serve, run, name):
    """For each edit: predicted from a copy of the file, then done."""
    daemon = serve({"a.example": tenant(), "b.example": tenant()}, listen=PLAIN)
    names = ["a.example", "b.example", "n.example"]
    expected = bodies(daemon, names)
    copy = edit(daemon, EDITS[name], daemon.config.parent / "copy.yaml")
    done = run("check", "--format", "json", "-c", copy)
    report = json.loads(done.stdout)
    for change in report["changes"] if report["usable"] else []:
        assert change["before"] == expected[change["domain"]]
        expected[change["domain"]] = change["after"]
    lines = len(daemon.log(event="reload"))
    copy.rename(daemon.config)
    if name == "nothing":
        daemon.send_signal(signal.SIGHUP)
    daemon.wait_for("event=reload", lines + 1)
    assert bodies(daemon, names) == expected
    result = daemon.log(event="reload")[-1]["result"]
    assert result == ("refused" if name == "strict with a mistake" else "done")
    if report["usable"]:
        kept = [t["domain"] for t in report["tenants"] if t["kept"]]
        assert int(daemon.log(event="reload")[-1]["kept"]) == len(kept)


def test_diff_shows_both_policies(serve, run):
    """Old lines, new lines, and the lines that stay."""
    daemon = serve({"a.example": tenant(), "b.example": tenant()}, listen=PLAIN)
    copy = edit(daemon, EDITS["another mx and one less"], daemon.config.parent / "copy.yaml")
    done = run("check", "--diff", "-c", copy)
    assert "  ~ a.example changed\n" in done.stdout
    assert "    +mx: mx9.example.org\n" in done.stdout
    assert "    -mx: " in done.stdout and "     version: STSv1\n" in done.stdout
    assert "  - b.example removed\n    -version: STSv1\n" in done.stdout
    assert "tenant-removed" in done.stderr and "mx-removed" in done.stderr


def test_the_first_hundred_changes_are_listed(serve, run):
    """More of them only on request."""
    daemon = serve({"a.example": tenant()}, listen=PLAIN)
    copy = edit(daemon, lambda c: c["tenants"].update(
        {f"t{i}.example": tenant() for i in range(120)}), daemon.config.parent / "copy.yaml")
    short = run("check", "-c", copy).stdout
    assert short.count(" added\n") == 100 and "and 20 more (--diff shows all)" in short
    assert run("check", "--diff", "-c", copy).stdout.count(" added\n") == 120
