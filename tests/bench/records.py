"""`mta-stsd records` for many tenants: time, and the most memory it ever had."""

import os
import subprocess
import time

from measure import PROGRAM
from tenants import Tenants

PORT = 443  # written, never listened on


def measure_records(options, form="bind"):
    """First with nothing known of the tenants (ids are issued), then again."""
    tenants = Tenants(
        options.tenants, options.shared_policies, options.per_file, certificates=False
    )
    tenants.write(PORT)
    result = {"tenants": tenants.count, "policies": tenants.policies, "format": form}
    for name in "first", "again":
        begin = time.monotonic()
        with open(tenants.run / "records.out", "wb") as out:
            process = subprocess.Popen(
                [PROGRAM, "records", "-c", str(tenants.main), "--format", form],
                stdout=out, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        result[name] = {
            "seconds": round(time.monotonic() - begin, 2),
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
            "peak_mib": round(usage.ru_maxrss / 1024, 1),
            "exit": process.returncode,
            "output_mib": round((tenants.run / "records.out").stat().st_size / 2**20, 1),
        }
    (tenants.run / "records.out").unlink()
    return result
