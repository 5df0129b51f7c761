"""A terminal that an admin sits at: a command of a machine runs on it, and its keys are typed here."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time

from lab import Machine


class Terminal:
    """A command on a terminal of ours, which is its controlling terminal."""

    def __init__(self, host: Machine, *command: str) -> None:
        self._ours, theirs = pty.openpty()
        words = ["nsenter", "-t", str(host.pid), *"-n -m -u -i -p --".split()]
        # The session begins inside: what enters the machine is not to get signals of the keys.
        words += ["setsid", "--ctty", *command]
        self.process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def expect(self, wanted: str, seconds: float = 10) -> str:
        """Wait until something is shown; what is shown up to there, and since the last time."""
        deadline = time.monotonic() + seconds
        while wanted not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{wanted!r} not in {self.seen!r}"
            if select.select([self._ours], [], [], left)[0]:
                try:
                    self.seen += os.read(self._ours, 4096).decode(errors="replace")
                except OSError:
                    assert wanted in self.seen, self.seen
        before, _, self.seen = self.seen.partition(wanted)
        return before

    def close(self) -> int:
        """Wait for the command to end; its status."""
        status = self.process.wait(10)
        os.close(self._ours)
        return status
