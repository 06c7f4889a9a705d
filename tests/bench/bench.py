#!/usr/bin/python3
"""Measures mta-stsd beside nginx, HAProxy, h2o and Caddy with N tenants of own certificates.

    make bench                    N=1000, below three minutes
    make bench N=100000 ARGS="--limit 600 --soak 60"
    make bench N=1000000 ARGS=--records
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import sys
import time

import measure
import servers
import targets
from changes import Changes
from records import measure_records
from tenants import Tenants

CACHE_FETCHES = 20_000  # different tenants that were asked for when memory is looked at


def say(text):
    print(f"[{time.monotonic() - say.begin:6.1f}] {text}", flush=True)


say.begin = time.monotonic()


def start_all(options, own, tenants, result, ready):
    """Ours twice: with nothing from an earlier run, and again. Those that came up get `ready`."""
    tenants.write_tree()
    say("reading all files once, so that the page cache holds them")
    measure.warm(tenants.live)
    measure.warm(tenants.combined)
    for server in [own] + [kind(tenants) for kind in options.peers]:
        entry = result["servers"][server.name] = {}
        # Any tenant will do but the first or last, which a server may happen to load first.
        ready.append(server)
        entry["start"] = server.start(tenants.count * 5 // 7, options.limit)
        if server is own and entry["start"]:
            own.stop()
            entry["first_start"] = entry["start"]
            entry["start"] = own.start(tenants.count * 3 // 7, options.limit)
        if entry["start"]:
            entry["memory_start"] = server.memory()
            say(f"{server.name}: first answer after {entry['start']['seconds']} s, "
                f"{entry['memory_start']['anonymous_mib']} MiB")
        else:
            ready.remove(server)
    if own not in ready:
        sys.exit("mta-stsd did not start")


def fetch_rounds(options, ready, tenants, pick, result):
    """CPU per fetch, in turns, so that other work on the machine meets all of them."""
    taken = {server.name: [] for server in ready}
    for number in range(options.rounds + 1):
        for server in ready:
            before = server.cpu_of_threads()
            found = measure.client(
                server.port, count=options.fetches, pick=pick, seed=number + 1, threads=4,
                **tenants.client_options,
            )  # fmt: skip
            used = server.cpu_of_threads() - before
            bad = found["wrong"] + found["failed"]
            entry = result["servers"][server.name].setdefault("fetch", {}).setdefault(
                pick, {"failed": 0, "tickets": 0}
            )
            entry["failed"] += bad
            entry["tickets"] = round(found["tickets"] / options.fetches, 2)
            if bad:
                say(f"{server.name}: {bad} of {options.fetches}: {found['complaint']}")
            elif number > 0:  # the first round warms caches
                taken[server.name].append(1e6 * used / options.fetches)
    for server in ready:
        values, entry = taken[server.name], result["servers"][server.name]["fetch"][pick]
        if values:
            entry["best_us"] = round(min(values), 1)
            entry["median_us"] = round(statistics.median(values), 1)
            best, median = entry["best_us"], entry["median_us"]
            say(f"{server.name}: {pick}: best {best} us, median {median} us")


def memory_after(ready, tenants, result):
    count = min(tenants.count, CACHE_FETCHES)
    for server in ready:
        measure.client(
            server.port, count=count, pick="sequential", threads=4, **tenants.client_options
        )
        entry = result["servers"][server.name]
        entry["memory_fetched"] = server.memory()
        if isinstance(server, servers.Own):
            entry["cache_mib"] = server.cache_mib()
        say(f"{server.name}: {entry['memory_fetched']} after {count} tenants")


def measure_changes(options, own, tenants, result):
    changes = Changes(own, tenants)
    times, seconds = options.changes, options.change_seconds
    result["policy_change"] = changes.measure(changes.policy, times, seconds)
    say(f"one policy: {result['policy_change']}")
    result["certificate_change"] = changes.measure(changes.certificate, times, seconds)
    say(f"one certificate: {result['certificate_change']}")
    result["addition"] = changes.measure(changes.addition, times, seconds)
    say(f"one new tenant: {result['addition']}")
    result["all_change"] = changes.all_at_once(seconds)
    say(f"all policies: {result['all_change']}")
    if options.soak:
        result["soak"] = changes.soak(options.soak)
        say(f"soak: {result['soak']}")


def run(options):
    result = {
        "tenants": options.tenants,
        "date": time.strftime("%Y-%m-%d"),
        "version": measure.source_version(),
        "machine": measure.machine(),
        "servers": {},
    }
    tenants = Tenants(options.tenants, options.shared_policies, options.per_file)
    result["policies"] = tenants.policies
    result["floor"] = measure.floor()
    say(f"floor: {result['floor']}")
    own, ready = servers.Own(tenants), []
    try:
        start_all(options, own, tenants, result, ready)
        for pick in ["uniform"] + ["zipf"] * (tenants.count >= options.zipf_from):
            fetch_rounds(options, ready, tenants, pick, result)
        memory_after(ready, tenants, result)
        for server in ready:
            if server is not own:
                server.stop()
        measure_changes(options, own, tenants, result)
    finally:
        for server in ready:
            server.stop()
        tenants.remove_added()
    again = measure.floor()
    result["floor"] = {key: min(value, again[key]) for key, value in result["floor"].items()}
    return result


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument(
        "--shared-policies", action="store_true", help="97 for all, instead of each its own"
    )
    parser.add_argument(
        "--per-file", type=int, help="tenants in a YAML file: 1, or 1000 that share policies"
    )
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--fetches", type=int, default=500, help="of a server in a round")
    parser.add_argument("--zipf-from", type=int, default=10_000, help="tenants")
    parser.add_argument("--changes", type=int, default=4, help="that are measured one by one")
    parser.add_argument("--change-seconds", type=float, default=4)
    parser.add_argument("--soak", type=float, default=15, help="seconds; 0: none")
    parser.add_argument("--limit", type=float, default=120, help="seconds for a start")
    parser.add_argument("--peers", default="nginx,nginx-variables,haproxy,h2o,caddy")
    parser.add_argument("--records", action="store_true", help="only time `mta-stsd records`")
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()
    known = dict(zip(("nginx", "nginx-variables", "haproxy", "h2o", "caddy"), servers.PEERS))
    options.peers = [known[name] for name in options.peers.split(",") if name]
    name = "records" if options.records else "result"
    options.output = options.output or _output(name, options.tenants, options.shared_policies)
    return options


def _output(name, tenants, shared):
    # Those of shared policies are no points of the plots, which take all of result-*.json.
    name = f"shared-{name}" if shared else name
    return measure.TOP / "build" / "bench" / f"{name}-{tenants}.json"


def _at_1000(shared):
    """What an earlier run found with 1,000 tenants, or None."""
    path = _output("result", 1000, shared)
    return json.loads(path.read_text()) if path.exists() else None


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers are ended on the way
    options = parse()
    result = measure_records(options) if options.records else run(options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    if options.records:
        print(json.dumps(result, indent=1))
        return max(result[name]["exit"] for name in ("first", "again"))
    print(targets.table(result, _at_1000(options.shared_policies)))
    say(f"written: {os.path.relpath(options.output)}")
    return 1 if targets.broken(result) else 0


if __name__ == "__main__":
    sys.exit(main())
