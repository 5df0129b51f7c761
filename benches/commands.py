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
    installed = [str(Path(sys.executable).with_name("netyard"))]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        **{
            f"netyard {words}": [*installed, *words.split()]
            for words in ("version", "network ls", "run --rm --network cli true")
        },
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
