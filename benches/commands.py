"""Whole processes of the command line."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

from measuring import ROUNDS, median, timed


def commands(_work: Path) -> dict[str, dict[str, float]]:
    """Whole processes, in milliseconds."""
    from netyard import Network

    Network.create("cli")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "netyard version": [sys.executable, "-m", "netyard", "version"],
        "netyard network ls": [sys.executable, "-m", "netyard", "network", "ls"],
        "netyard run --rm --network cli true": [
            *(sys.executable, "-m", "netyard", "run", "--rm", "--network", "cli", "true"),
        ],
    }
    quiet = subprocess.DEVNULL
    return {
        name: {
            "ms": median(
                [
                    timed(partial(subprocess.run, words, stdout=quiet, check=True))
                    for _ in range(ROUNDS)
                ]
            )
        }
        for name, words in commands.items()
    }
