"""What the integration tests stand on: the server as a process, certificates, clients, DNS."""

import os
import pathlib

TOP = pathlib.Path(__file__).resolve().parents[3]

# The program under test. MTA_STSD chooses another build, e.g. build/asan/mta-stsd.
BINARY = pathlib.Path(os.environ.get("MTA_STSD", "build/release/mta-stsd"))
if not BINARY.is_absolute():
    BINARY = TOP / BINARY

# Upper bounds for waiting on an event that ends the wait by itself; no result depends on them.
DEADLINE = 60.0
