"""The host's id in its cluster, the same for all its life, and the id of its present etcd lease.

In a file of their own, not in the store: they are written while a command that waits for it has a
transaction of the store open. How the host takes part is `netyard.values.membership`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from netyard.state.json_file import read_object
from netyard.state.random_ids import new_id


class HostIdentity:
    """See the module.

    Attributes:
        id: 64 hexadecimal digits.
        lease: 0 if there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            found = read_object(path)
        except (OSError, ValueError):
            found = {}
        host, lease = found.get("host"), found.get("lease")
        self.id: str = host if host and isinstance(host, str) else new_id()
        self.lease: int = lease if isinstance(lease, int) else 0

    def keep(self, *, lease: int) -> None:
        """Write the lease to the file; 0 for none."""
        self.lease = lease
        draft = self._path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({"host": self.id, "lease": lease}) + "\n")
        draft.rename(self._path)
