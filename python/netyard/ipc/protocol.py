"""The wire format between commands and the agent: one JSON object a line, one answer a request.

Over a Unix socket with mode 0600, in the runtime directory. Which requests there are is
`netyard.ipc.agent` and `netyard.agent.server`.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

REQUEST_MAX = 1 << 20


def encode(message: dict[str, Any]) -> bytes:
    """One message as bytes."""
    return json.dumps(message).encode() + b"\n"


def receive(stream: BinaryIO) -> dict[str, Any] | None:
    """Read one message; ``None`` if the connection is closed or the line is not a message."""
    line = stream.readline(REQUEST_MAX)
    if not line.endswith(b"\n"):
        return None
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
