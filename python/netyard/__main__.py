"""``python -m netyard``, and what netyard starts of itself: see `netyard.runtime.own_command`."""

import sys

if not __package__:
    # Started by its path. Python has put this file's directory first, and what lies in it must not
    # be taken for other modules; ``netyard`` is the package it belongs to, whatever else has that
    # name.
    from pathlib import Path

    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    sys.path.insert(0, str(Path(__file__).absolute().parents[1]))
    __import__("netyard")
    del sys.path[0]

from netyard.cli.main import main

if __name__ == "__main__":
    main()
