from importlib import import_module
from typing import TYPE_CHECKING

# A caller of `Network` or `Container` gives no host, as a rule: this file says how one is opened.
from netyard.api import host as host

# Unknown to type checkers, which would take a misspelt name for an object.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """A file that an annotation names, and that few callers need."""
        if name == "cluster":
            return import_module("netyard.api.cluster")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
