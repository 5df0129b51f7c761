"""Who this host is in its cluster: an id for all its life, and the lease it has now.

In a file of their own, not in the store: they are written while commands, which wait for that, are
within a transaction of the store.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from netyard.state.random_ids import new_id


class HostIdentity:
    """See the module."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError):
            found = {}
        self.id: str = found.get("host") or new_id()
        self.lease: int = found.get("lease", 0)

    def keep(self, *, lease: int) -> None:
        """Remember the lease; 0 for none."""
        self.lease = lease
        draft = self._path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({"host": self.id, "lease": lease}) + "\n")
        draft.rename(self._path)
