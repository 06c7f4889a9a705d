"""Certificates of a throw-away authority, made once a run by certs-example/make-certs.sh."""

import subprocess

from . import TOP

MAKE_CERTS = TOP / "certs-example" / "make-certs.sh"


class Certificates:
    """Folders of certificates below `root`, all signed by the authority in `ca`."""

    def __init__(self, root):
        self.root = root
        self.authority = root / "authority"
        self._made = set()
        self._run(self.authority)
        self.ca = self.authority / "ca.pem"

    def _run(self, *args):
        done = subprocess.run(
            [str(MAKE_CERTS), *map(str, args)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def make(self, *names, options=(), folder=None):
        """A folder with one certificate a host name (each kept for the whole run).

        `options` are flags of make-certs.sh ("--rsa", "--expired", ...). Without `folder`, all
        calls with the same options share one folder; pass a folder to have one of its own.
        """
        if folder is None:
            folder = self.root / "-".join(["shared", *(o.strip("-") for o in options)])
        wanted = [n for n in names if (folder, n) not in self._made]
        if wanted or not folder.exists():
            self._run("--ca", self.authority, *options, folder, *wanted)
            self._made.update((folder, n) for n in wanted)
        return folder
