"""Waits for a file in a directory without polling for it."""

import ctypes
import os
import select
import time

IN_CLOSE_WRITE = 0x8
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_OPEN = 0x20
_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Reports that something was written or moved into a directory, or what `events` says."""

    def __init__(self, directory, events=IN_CLOSE_WRITE | IN_MOVED_TO):
        self.fd = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        path = os.fsencode(directory)
        if _libc.inotify_add_watch(self.fd, path, events) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")

    def wait_until(self, ready, process, deadline):
        """Returns what `ready()` gives once it is true; None when the process ended first."""
        end = time.monotonic() + deadline
        pidfd = os.pidfd_open(process.pid)
        try:
            while True:
                found = ready()
                if found:
                    return found
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"nothing after {deadline} s")
                events, _, _ = select.select([self.fd, pidfd], [], [], left)
                if self.fd in events:
                    os.read(self.fd, 65536)
                elif pidfd in events:
                    return ready()
        finally:
            os.close(pidfd)

    def close(self):
        os.close(self.fd)
