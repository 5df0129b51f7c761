"""The command lines by which netyard starts Python: itself again, or a few lines of code.

None of them looks for modules in the current directory, which belongs to the caller: ``sudo`` keeps
it.
"""

import sys
from pathlib import Path

_PROGRAM = Path(__file__).absolute().parents[1] / "__main__.py"


def own_command(*words: str) -> list[str]:
    """A command line of netyard, run by this interpreter from the package that runs now.

    By path, because ``-m netyard`` would take a ``netyard.py`` of the current directory, and its
    remedy ``-P`` is not in Python 3.10.
    """
    return [sys.executable, str(_PROGRAM), *words]


def python_command(*words: str) -> list[str]:
    """A Python that knows the standard library, and neither the caller's directory nor settings."""
    return [sys.executable, "-I", *words]
