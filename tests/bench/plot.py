#!/usr/bin/python3
"""Start, memory and CPU per fetch against the number of tenants, as SVG beside this file.

    make bench-plots              from the results in build/bench/
"""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE.parents[1] / "build" / "bench"
SERVERS = ("mta-stsd", "nginx", "nginx, variables", "haproxy", "h2o", "caddy")
COLOURS = ("#c02020", "#208040", "#80b090", "#2060b0", "#a06000", "#7040a0")
# file, title, label, logarithmic, path in a server's result
PLOTS = (
    ("start", "Start until the first right answer, page cache warm", "seconds", True,
     ("start", "seconds")),
    ("memory", "Anonymous memory after fetching each tenant (at most 20,000)", "MiB", True,
     ("memory_fetched", "anonymous_mib")),
    ("cpu", "CPU of the server per full-handshake fetch, uniform", "microseconds", False,
     ("fetch", "uniform", "best_us")),
)  # fmt: skip


def value(entry, path):
    for key in path:
        entry = entry.get(key) if entry else None
    return entry


def script(results, name, title, label, logarithmic, path):
    """The data as blocks, so that nothing but the SVG is written."""
    blocks, curves = [], []
    for number, server in enumerate(SERVERS):
        points = [
            (result["tenants"], found)
            for result in results
            if (found := value(result["servers"].get(server), path)) is not None
        ]
        if not points:
            continue
        rows = "\n".join(f"{tenants} {max(found, 0.001)}" for tenants, found in points)
        blocks.append(f"$server{number} << END\n{rows}\nEND")
        width = 3 if number == 0 else 1.5
        curves.append(
            f"$server{number} with linespoints lw {width} pt 7 ps 0.6 lc rgb '{COLOURS[number]}' "
            f"title '{server}'"
        )
    if name == "cpu":
        floor = min(result["floor"]["sum_us"] for result in results)
        curves.append(f"{floor} with lines dt 2 lc rgb '#606060' title 'floor of cryptography'")
    return "\n".join(
        blocks
        + [
            "set terminal svg size 720,420 font 'sans,12' background rgb 'white'",
            f"set output '{HERE / name}.svg'",
            f"set title '{title}'",
            "set xlabel 'tenants'",
            f"set ylabel '{label}'",
            "set logscale x",
            "set logscale y" if logarithmic else "set yrange [0:*]",
            "set format x '%.0f'",
            "set key outside right",
            "set grid lc rgb '#d0d0d0'",
            "plot " + ", ".join(curves),
        ]
    )


def main():
    files = RESULTS.glob("result-*.json")
    results = sorted((json.loads(f.read_text()) for f in files), key=lambda r: r["tenants"])
    if not results:
        print("no results: run `make bench` first", file=sys.stderr)
        return 1
    for plot in PLOTS:
        subprocess.run(["gnuplot"], input=script(results, *plot), text=True, check=True)
    print(f"plots of {', '.join(str(r['tenants']) for r in results)} tenants: {HERE}/*.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
