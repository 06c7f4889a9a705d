"""Writers in place, that take their time: what is in the file meanwhile is never served."""

import pytest
from harness.reload import body, replace, text


@pytest.mark.parametrize("rest", ["nothing", "a part that is no YAML", "a part that is valid"])
def test_slow_writer(scene, rest):
    """Who truncates and writes in place, slowly: what is there meanwhile is never served.

    The last case is the dangerous one: a policy that is whole, but for its last lines.
    """
    s = scene()
    new = text(2) + "    policy_of_tomorrow: {}\n"
    part = {"nothing": "", "a part that is no YAML": text(2)[:30], "a part that is valid": text(3)}
    with open(s.file, "w", encoding="utf-8") as file:
        file.write(part[rest])
        file.flush()
        for _ in range(3):
            s.stays()
            s.hangup()
        file.seek(0)
        file.truncate()
        file.flush()
        s.stays()
        file.write(new.partition("    policy_of")[0])
        s.watcher.announce(body(2))
    if not s.watches:
        s.hangup()
    s.watcher.until(body(2))


def test_slow_writer_beyond_the_limit(scene):
    """Writing all the time does not keep the others waiting, and is still not taken half-way."""
    s = scene(reload={"settle": "150ms", "settle_limit": "300ms", "rescan": "1h"})
    with open(s.file, "w", encoding="utf-8") as file:
        writes = 0
        s.sentinel.announce(body(2, "example.com"))
        s.change(replace, s.sentinel_file, text(2, "example.com"))
        while s.sentinel.current != body(2, "example.com"):
            file.write("# not yet\n")
            file.flush()
            writes += 1
            s.sentinel.more()
        assert writes
        file.write(text(2))
        s.watcher.announce(body(2))
    if not s.watches:
        s.hangup()
    s.watcher.until(body(2))
