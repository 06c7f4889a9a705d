"""The clock jumps while the server runs: policies still change at once, and no id comes twice."""

import json
import sqlite3

import pytest
from harness.reload import SUBJECT, replace, text

pytestmark = pytest.mark.once


def current_id(run, s):
    """The id that is announced now, after the last look has come to its end."""
    s.hangup()
    done = run("records", "-c", s.main, "--format", "json", SUBJECT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[0]["id"]


JUMPS = {
    "a year back": ["-365d"],
    "before the epoch of certificates": ["@1971-01-01 00:00:00"],
    "behind 2038": ["@2038-01-19 03:14:07", "@2038-01-19 03:14:08", "@2041-01-01 00:00:00"],
    "behind 2106": ["@2106-02-07 06:28:16"],
    "there and back again": ["+3650d", "+0d", "-1d", "+0d"],
    "the same second again": ["@2030-06-01 00:00:00"] * 3,
    "a leap second": ["@2016-12-31 23:59:59", "@2017-01-01 00:00:00"],
}


@pytest.mark.parametrize("jumps", JUMPS.values(), ids=JUMPS)
def test_jump(scene, run, clock, jumps):
    s = scene(tls=False, env=clock.environment)
    ids = [current_id(run, s)]
    for number, jump in enumerate(jumps, 2):
        clock.set(jump)
        s.becomes(number, replace, s.file, text(number))
        ids.append(current_id(run, s))
    # And back to what was served first: a new id all the same.
    s.becomes(1, replace, s.file, text(1))
    ids.append(current_id(run, s))
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)
    assert all(id_.isalnum() and id_.isascii() and len(id_) <= 32 for id_ in ids)


def test_clock_goes_back_while_it_is_down(scene, run, clock):
    """A battery that is empty: the first start after it knows the ids of the future."""
    clock.set("+400d")
    s = scene(tls=False, env=clock.environment)
    first = current_id(run, s)
    clock.set("-400d")
    s.restart(2, meanwhile=lambda: replace(s.file, text(2)))
    second = current_id(run, s)
    assert second > first


def test_served_times_never_go_back(scene, clock):
    """What was served last is not forgotten too early because the clock was wrong for a moment."""
    s = scene(tls=False, env=clock.environment)
    clock.set("-400d")
    s.becomes(2, replace, s.file, text(2))
    s.disappears(s.file.unlink)
    s.hangup()
    with sqlite3.connect(s.ledger) as ledger:
        rows = ledger.execute(
            "SELECT first_served, last_served FROM instance WHERE domain = ?", (SUBJECT,)
        ).fetchall()
    assert len(rows) == 2
    assert all(last and first <= last for first, last in rows)


def test_a_second_look_without_the_clock(scene, clock):
    """The quiet time is not measured by the wall clock."""
    s = scene(tls=False, env=clock.environment)
    clock.set("-365d")
    s.becomes(2, replace, s.file, text(2))
    clock.set("@2041-01-01 00:00:00")
    s.becomes(3, replace, s.file, text(3))
    clock.set("-365d")
    s.becomes(4, replace, s.file, text(4))
