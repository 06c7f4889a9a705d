"""A start that comes to nothing half-way, and what a server inherits from who started it."""

import resource
import signal
import signal

PLAIN = [{"address": "127.0.0.1:0", "tls": False}]
TENANT = {"mode": "none", "mx": "mx.example.org"}


def test_too_few_descriptors(serve):
    """Whatever cannot be opened: exit 3 with a message, or a server that serves."""
    ends = []
    for limit in range(7, 36):
        daemon = serve({"example.org": TENANT}, listen=PLAIN, limits={"workers": 1}, start=False,
                       preexec=lambda n=limit: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n)))
        if daemon.launch():
            daemon.stop()
        else:
            assert daemon.returncode == 3, f"{limit}: {daemon.returncode}\n{daemon.output}"
            assert daemon.log(level="error"), daemon.output
        ends.append((daemon.returncode, bool(daemon.log(event="start-failed"))))
    # Also between the sockets and the last worker, and at last it serves.
    assert (3, True) in ends and ends[-1] == (0, False)


def test_sigchld_is_ignored_by_who_starts_it(serve, tmp_path):
    """Inherited, and the kernel then says of no child how it ended: on_change runs, and is done."""
    program = tmp_path / "hook"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    daemon = serve({"example.org": TENANT}, listen=PLAIN, on_change=[str(program)],
                   preexec=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    (line,) = daemon.wait_for("event=on-change")
    assert "result=done" in line
