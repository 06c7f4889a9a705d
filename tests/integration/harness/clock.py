"""A wall clock for programs, of libfaketime."""

import datetime
import subprocess


class Clock:
    """The wall clock of programs that have `environment`; it may be set while they run."""

    def __init__(self, path):
        self._path = path
        self.set("+0d")
        multiarch = subprocess.run(
            ["/usr/bin/python3", "-c", "import sysconfig as s; print(s.get_config_var('MULTIARCH'))"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        self.environment = {
            "LD_PRELOAD": f"/usr/lib/{multiarch}/faketime/libfaketimeMT.so.1",
            "FAKETIME_TIMESTAMP_FILE": str(path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "TZ": "UTC",
        }

    def set(self, text_):
        """As faketime(1) reads it: "-365d", "@2040-01-01 00:00:00"."""
        new = self._path.with_suffix(".new")
        new.write_text(text_ + "\n")
        new.rename(self._path)

    def at(self, moment, **later):
        """A moment (UTC), or so much later: at(moment, hours=-1)."""
        moment += datetime.timedelta(**later)
        self.set(f"@{moment:%Y-%m-%d %H:%M:%S}")
