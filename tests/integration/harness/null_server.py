"""`pgairlock-bench serve` as a process: a server that costs next to nothing."""

import re
import signal
import subprocess
from pathlib import Path

from . import programs
from .waiting import PATIENCE, until


class NullServer:
    def __init__(self, bench: Path, directory: Path, certificate=None):
        """`certificate`: as in harness.pki; None: without TLS."""
        self.out, self.err = directory / "serve.out", directory / "serve.err"
        tls = ["--cert-file", str(certificate.cert), "--key-file", str(certificate.key)] if certificate else []
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            command = [str(bench), "serve", "--listen", "127.0.0.1:0", *tls]
            self.process = subprocess.Popen(programs.with_death_signal(command), stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        found = until(lambda: re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", self.out.read_text()), what="the null backend")
        self.address = "127.0.0.1", int(found[1])
        self.host = f"127.0.0.1:{found[1]}"

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0, self.err.read_text()
        assert self.err.read_text() == ""
