"""The figures of a run as a table, and beside them what we want to reach."""

OWN = "mta-stsd"
UP_FRONT = ("nginx", "haproxy", "h2o", "caddy")


def _get(result, *path):
    for key in path:
        result = result.get(key) if isinstance(result, dict) else None
    return result


def _servers(result):
    lines = [
        f"{'':18}{'start s':>9}{'CPU s':>8}{'anon MiB':>10}{'KiB/tenant':>12}{'uniform us':>12}"
        f"{'x floor':>9}{'zipf us':>9}{'tickets':>9}"
    ]
    floor = result["floor"]["sum_us"]

    def cell(value, width, digits=0):
        return f"{value:{width}.{digits}f}" if value is not None else f"{'-':>{width}}"

    for name, entry in result["servers"].items():
        fetch = _get(entry, "fetch", "uniform", "best_us")
        used = _get(entry, "memory_fetched", "anonymous_mib")
        lines.append(
            f"{name:18}"
            + cell(_get(entry, "start", "seconds"), 9, 2)
            + cell(_get(entry, "start", "cpu_s"), 8, 2)
            + cell(used, 10, 1)
            + cell(used and 1024 * used / result["tenants"], 12, 2)
            + cell(fetch, 12)
            + cell(fetch and fetch / floor, 9, 2)
            + cell(_get(entry, "fetch", "zipf", "best_us"), 9)
            + cell(_get(entry, "fetch", "uniform", "tickets"), 9, 1)
        )
    return lines


def _fetch(result):
    own = _get(result, "servers", OWN, "fetch", "uniform", "best_us")
    others = [
        (value, name)
        for name, entry in result["servers"].items()
        if name != OWN and (value := _get(entry, "fetch", "uniform", "best_us"))
    ]
    if own and others:
        best, name = min(others)
        yield f"CPU per fetch, of the best other ({name})", own / best, 0.85
    if own:
        yield "CPU per fetch, of the floor", own / result["floor"]["sum_us"], 3


def _against_1000(result, base):
    """Names that come up again and again, and names that are new each time: the price of a miss."""
    few = _get(base, "servers", OWN, "fetch", "uniform", "best_us")
    if not few or result["tenants"] <= base["tenants"]:
        return
    for pick, most in (("zipf", 1.25), ("uniform", 1.75)):
        own = _get(result, "servers", OWN, "fetch", pick, "best_us")
        yield f"CPU per fetch, {pick}, of that at {base['tenants']} tenants", own and own / few, most


def _starts(result):
    servers = result["servers"]
    own = _get(servers, OWN, "start", "seconds")
    yield "start again, s", own, 2
    yield "first start, s", _get(servers, OWN, "first_start", "seconds"), 15
    others = [
        value for name in UP_FRONT if (value := _get(servers, name, "start", "seconds")) is not None
    ]
    if own and others:
        yield "start, of the fastest that loads up front", own / min(others), 0.1


def _memory(result):
    used = _get(result, "servers", OWN, "memory_fetched", "anonymous_mib")
    cached = _get(result, "servers", OWN, "cache_mib")
    # With few tenants it is the program itself that is measured.
    if used and cached is not None and result["tenants"] >= 10_000:
        yield "memory beside the cache, KiB a tenant", 1024 * (used - cached) / result["tenants"], 1


def _changes(result):
    kinds = (
        ("policy_change", "one policy changed"),
        ("certificate_change", "one certificate changed"),
        ("addition", "one tenant added"),
    )
    for key, name in kinds:
        change = result.get(key)
        if not change:
            continue
        yield f"{name}: CPU, ms", change["cpu_ms"], 100
        yield f"{name}: live after, s", change["live_s"], 1
        yield f"{name}: failed fetches", change["failed"], 0
        yield (
            f"{name}: p99 of others, of the quiet one",
            change["p99_ms"] / max(change["quiet_p99_ms"], 0.001),
            2,
        )
    if change := result.get("all_change"):
        yield "all policies changed: p99, ms", change["p99_ms"], 200
        yield "all policies changed: failed fetches", change["failed"], 0
    if soak := result.get("soak"):
        yield "soak: wrong answers", soak["wrong"], 0
        yield "soak: failed fetches", soak["failed"], 0
        yield "soak: changes never served", soak["changes_never_served"], 0
        yield (
            "soak: memory of the last quarter, of the second",
            soak["anonymous_mib_last_quarter"] / max(soak["anonymous_mib_second_quarter"], 0.001),
            1.05,
        )


def rows(result, base=None):
    """(what, figure or None, the most that meets the target)."""
    yield from _fetch(result)
    yield from _against_1000(result, base)
    for part in _starts, _memory, _changes:
        yield from part(result)


def table(result, base=None):
    """`base`: the result of 1,000 tenants, by another run."""
    floor = result["floor"]
    lines = [
        "",
        f"{result['tenants']} tenants ({result['policies']} policies), {result['date']}, "
        f"{result['version']}; floor "
        f"{floor['sum_us']} us (sign {floor['sign_us']}, key {floor['keygen_us']}, agreement "
        f"{floor['derive_us']}); OpenSSL's half of a fetch in memory {floor['memory_us']} us",
        "",
        *_servers(result),
        "",
        f"{'':55}{'figure':>10}{'at most':>10}",
    ]
    for what, figure, most in rows(result, base):
        shown = f"{figure:>10.2f}" if figure is not None else f"{'-':>10}"
        met = "" if figure is None else "  met" if figure <= most else "  not met"
        lines.append(f"{what:55}{shown}{most:>10}{met}")
    return "\n".join(lines) + "\n"


def broken(result):
    """Whether ours ever failed or gave a wrong answer: the only thing that is judged."""
    own = result["servers"][OWN]
    bad = sum(pick["failed"] for pick in own.get("fetch", {}).values())
    for key in "policy_change", "certificate_change", "addition", "all_change", "soak":
        bad += sum(_get(result, key, field) or 0 for field in ("failed", "wrong"))
    return bad + (_get(result, "soak", "changes_never_served") or 0) > 0
