"""`Unpack`, which Python 3.10 lacks, for annotations of keywords that are handed on."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Unpack as Unpack
else:
    # What stands in for it gives what it is given.
    _itself = {"__class_getitem__": classmethod(lambda _, settings: settings)}
    Unpack = getattr(typing, "Unpack", type("Unpack", (), _itself))
