"""A `netyard` that is warm: it forks for each command line instead of starting Python anew.

For the emulated machine of the VM lab only, where Python takes seconds to start. What is run is
the same `netyard.cli.main`; the caller's pipes come over the socket with the arguments.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_MESSAGE_MAX = 1 << 16


class Warm:
    """A client of the process below."""

    def __init__(self, popen: Callable[..., object], directory: str) -> None:
        self._path = f"{directory}/warm.sock"
        popen(sys.executable, __file__, self._path)
        deadline = time.monotonic() + 60
        while not Path(self._path).exists():
            if time.monotonic() > deadline:
                raise RuntimeError("the warm netyard did not come up")
            time.sleep(0.05)

    def run(self, arguments: tuple[str, ...], timeout: float) -> subprocess.CompletedProcess[str]:
        """Run a command line there."""
        outputs = [os.memfd_create(name) for name in ("stdout", "stderr")]
        try:
            with (
                socket.socket(socket.AF_UNIX) as sock,
                open(os.devnull, "rb") as nothing,
            ):
                sock.settimeout(timeout)
                sock.connect(self._path)
                message = json.dumps(arguments).encode()
                socket.send_fds(sock, [message], [nothing.fileno(), *outputs])
                status = int(sock.recv(16) or b"-1")
            texts = [os.pread(fd, os.fstat(fd).st_size, 0).decode() for fd in outputs]
        finally:
            for fd in outputs:
                os.close(fd)
        return subprocess.CompletedProcess(["netyard", *arguments], status, *texts)


def serve(path: str) -> None:
    """Take command lines until killed."""
    from netyard.cli.main import cli
    from netyard.cli.report import guarded

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(8)
        while True:
            client, _ = server.accept()
            message, fds, _, _ = socket.recv_fds(client, _MESSAGE_MAX, 3)
            if os.fork() == 0:
                server.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for number, fd in enumerate(fds):
                    os.dup2(fd, number)
                sys.argv = ["netyard", *json.loads(message)]
                status = guarded(cli)
                sys.stdout.flush()
                sys.stderr.flush()
                client.send(str(status).encode())
                os._exit(0)
            client.close()
            for fd in fds:
                os.close(fd)


if __name__ == "__main__":
    serve(sys.argv[1])
