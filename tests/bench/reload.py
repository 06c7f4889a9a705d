#!/usr/bin/python3
"""Measures live reload: how soon a change is served, what fails meanwhile, what is left behind.

    make bench-reload          prints a table, writes build/bench-reload.json
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "integration"))

from harness.certs import Certificates  # noqa: E402
from harness.reload import (  # noqa: E402
    FAST, NEIGHBOUR, SENTINEL, SUBJECT, Scene, body, replace, text,
)

DEFAULT = {"settle": "250ms", "settle_limit": "2s", "rescan": "60s"}


class Bench:
    def __init__(self, root, scale):
        self.root = root
        self.scale = scale
        self.certs = Certificates(root / "certificates")
        self.rows = []
        self.results = {}
        self._scenes = 0

    def scene(self, **options):
        """The server of the tests, with its three tenants."""
        names = [f"mta-sts.{domain}" for domain in (SUBJECT, NEIGHBOUR, SENTINEL)]
        folder = self.certs.make(*names)
        config = {"listen": ["127.0.0.1:0"], "certificates": [str(folder / n) for n in names]}
        self._scenes += 1
        return Scene(self.root / f"scene{self._scenes}", config, self.certs, **options)

    def count(self, number):
        return max(2, round(number * self.scale))

    def report(self, name, **values):
        self.results[name] = values
        for key, value in values.items():
            self.rows.append((name, key, value))
            print(f"{name:44} {key.replace('_', ' '):28} {value:>10}", flush=True)


def resident(pid):
    """KiB."""
    for line in open(f"/proc/{pid}/status", encoding="ascii"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def percentile(values, part):
    """The smallest value that is not below `part` of all."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def latency(bench, name, changes, **options):
    """From the rename to the end of the first answer with the new body."""
    scene = bench.scene(**options)
    scene.start()
    for other in scene.neighbour, scene.sentinel:
        other.close()  # one client alone, so that the server has the machine
    times = []
    for number in range(2, bench.count(changes) + 2):
        served = body(number)
        temporary = scene.file.with_name("new")
        temporary.write_text(text(number))
        scene.watcher.announce(served)
        begin = time.monotonic()
        temporary.rename(scene.file)
        scene.watcher.until(served)
        times.append(1000 * (time.monotonic() - begin))
        scene.watcher.more()
    scene.close()
    bench.report(
        name,
        changes=len(times),
        median_ms=round(statistics.median(times), 1),
        p99_ms=round(percentile(times, 0.99), 1),
        max_ms=round(max(times), 1),
    )


def many_files(count):
    """For `arrange`: so many more tenants, a file each."""

    def arrange(scene):
        for i in range(count):
            name = f"t{i}.example.edu"
            (scene.directory / f"{name}.yaml").write_text(text(1, name))

    return arrange


def under_load(bench, reloads, clients=8):
    """Each reload changes what all of the clients ask for."""
    scene = bench.scene(reload=FAST, workers=2)
    scene.start()
    watchers = [scene.watcher] + [scene.watch(SUBJECT, body(1)) for _ in range(clients - 1)]
    count = bench.count(reloads)
    for watcher in watchers:
        watcher.announce(*(body(number) for number in range(2, count + 2)))
        watcher.more()
    begin, before = time.monotonic(), sum(watcher.fetched for watcher in watchers)
    for number in range(2, count + 2):
        replace(scene.file, text(number))
        watchers[number % clients].until(body(number))
    elapsed = time.monotonic() - begin
    requests = sum(watcher.fetched for watcher in watchers) - before
    failed = sum(len(watcher.faults) for watcher in watchers)
    done = len(scene.daemon.log(event="reload", result="done"))
    scene.close()
    bench.report(
        f"{clients} clients, new TLS connection each time",
        reloads=done, requests=requests, per_second=round(requests / elapsed), failed=failed,
    )


def growth(bench, reloads):
    """Each reload changes one policy; measured without clients."""
    scene = bench.scene(reload=FAST, workers=2)
    scene.start()
    scene.leave()
    pid, count = scene.daemon.pid, bench.count(reloads)
    warm = bench.count(200)

    def measure():
        return resident(pid), scene.daemon.descriptors(), scene.daemon.watches()

    for number in range(2, warm + count + 2):
        done = len(scene.daemon.log(event="reload")) if number == 2 else done + 1
        replace(scene.file, text(number))
        scene.daemon.wait_for("event=reload ", done + 1)
        if number == warm + 1:
            before = measure()
    after = measure()
    scene.close()
    rss, descriptors, watches = (new - old for new, old in zip(after, before))
    bench.report(
        "growth", reloads=count, rss_before_kib=before[0], rss_growth_kib=rss,
        descriptors_growth=descriptors, watches_growth=watches,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of changes")
    parser.add_argument("--output", type=pathlib.Path, default=TOP / "build" / "bench-reload.json")
    options = parser.parse_args()
    version = subprocess.run(
        ["git", "-C", str(TOP), "describe", "--always", "--dirty"], capture_output=True, text=True,
        check=False,
    ).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="mta-sts-bench-") as root:
        bench = Bench(pathlib.Path(root), options.scale)
        latency(bench, "rename to new body, settle 250ms (default)", 200, reload=DEFAULT)
        latency(bench, "rename to new body, settle 20ms", 200, reload=FAST | {"rescan": "60s"})
        latency(bench, "the same among 10,000 files", 20, reload=FAST | {"rescan": "60s"},
                tls=False, arrange=many_files(10_000))
        under_load(bench, 200)
        growth(bench, 2000)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(
        json.dumps({"version": version, "results": bench.results}, indent=2) + "\n"
    )
    failed = [v["failed"] for v in bench.results.values() if "failed" in v]
    return 1 if any(failed) else 0


if __name__ == "__main__":
    sys.exit(main())
