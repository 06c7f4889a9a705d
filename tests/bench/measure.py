"""What the kernel says about a server, and what the client says about its answers."""

import json
import os
import pathlib
import platform
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("BENCH_BIN", TOP / "build/release/tests/bench"))
PROGRAM = os.environ.get("MTA_STSD", str(TOP / "build/release/mta-stsd"))
TICK = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The fields of /proc/PID/stat behind the name, or None when the process is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(") ")[2].split()


def tree(pid):
    """The process and all of its descendants."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(entry.name)):
            parents[int(entry.name)] = int(fields[1])
    found = {pid}
    while more := {p for p, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def cpu(pid):
    """Seconds of CPU of the process, its threads and children, of those that ended as well; in
    steps of a tick."""
    total = 0
    for number in tree(pid):
        if fields := _stat(number):
            total += sum(int(value) for value in fields[11:15])  # utime, stime, cutime, cstime
    return total / TICK


def cpu_of_threads(pid):
    """The same in nanoseconds' steps, of the threads that run now: for a time when none ends."""
    total = 0
    for number in tree(pid):
        for task in pathlib.Path(f"/proc/{number}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory(pid):
    """MiB by kind, of the whole tree; what processes share is counted once (PSS)."""
    sums = {"Pss_Anon": 0, "Pss_File": 0, "Pss_Shmem": 0}
    for number in tree(pid):
        try:
            text = pathlib.Path(f"/proc/{number}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for line in text.splitlines():
            key, _, value = line.partition(":")
            if key in sums:
                sums[key] += int(value.split()[0])
    anonymous, file, shared = (round(value / 1024, 1) for value in sums.values())
    return {"anonymous_mib": anonymous + shared, "file_mib": file}


def client_command(port, **options):
    command = [str(BIN / "client"), "--port", str(port)]
    for key, value in options.items():
        command += [f"--{key}", str(value)]
    return command


def client(port, **options):
    """Runs the client to its end; its findings."""
    done = subprocess.run(
        client_command(port, **options), stdout=subprocess.PIPE, text=True, check=False
    )
    if not done.stdout:
        raise RuntimeError("the client found nothing")
    return json.loads(done.stdout)


class Client:
    """The same in the background."""

    def __init__(self, port, **options):
        self.process = subprocess.Popen(
            client_command(port, **options), stdout=subprocess.PIPE, text=True
        )

    def result(self):
        out, _ = self.process.communicate()
        return json.loads(out)


def generate(folder, count, tenant=None):
    """All certificates once, or one of them anew (returns its serial number)."""
    command = [str(BIN / "generate"), str(folder), str(count)]
    if tenant is not None:
        command.append(str(tenant))
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def floor():
    """Microseconds of the cryptography that no server avoids."""
    done = subprocess.run([str(BIN / "floor")], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _version(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return (done.stdout + done.stderr).splitlines()[0].strip()


def machine():
    model = [
        line.partition(":")[2].strip()
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processors": os.cpu_count(),
        "model": model[0] if model else platform.machine(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "kernel": platform.release(),
        "openssl": _version("openssl", "version"),
        "libh2o": _version("dpkg-query", "-W", "-f=${Version}", "libh2o-evloop-dev"),
    }


def source_version():
    return _version("git", "-C", str(TOP), "describe", "--always", "--dirty")


def warm(folder):
    """Reads every file, so that the page cache holds them."""
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                while file.read(1 << 20):
                    pass
