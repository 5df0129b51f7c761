"""Talking to the agent, and starting it when a container first needs a name server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, BinaryIO, cast

from netyard.agent import protocol
from netyard.errors import AgentError
from netyard.naming import Layout

_TALK_SECONDS = 30.0
_START_SECONDS = 15.0


def refresh(
    layout: Layout, containers: Sequence[str], *, needed: bool, ended: bool = False
) -> None:
    """Have the agent look at these containers again.

    Args:
        needed: Start it if it does not run; a fresh one looks at everything.
        ended: They have come to their end: the agent must let go of their namespaces.

    Raises:
        AgentError: if it is needed and does not come up.
    """
    message = {"op": "refresh", "containers": list(containers), "ended": ended}
    if request(layout, message) is None and needed:
        start(layout)


def forget_network(layout: Layout, network_id: str) -> None:
    """Have the agent drop a network's names."""
    request(layout, {"op": "forget", "network": network_id})


def revive(layout: Layout) -> None:
    """Start the agent again if it was killed: then its socket is there and nobody listens."""
    if layout.agent_socket.exists() and request(layout, {"op": "ping"}) is None:
        start(layout)


def request(layout: Layout, message: dict[str, Any]) -> dict[str, Any] | None:
    """Ask the agent something; ``None`` if it does not run.

    Raises:
        AgentError: if it runs and reports a failure.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(_TALK_SECONDS)
        try:
            sock.connect(_address(layout))
            with sock.makefile("rwb") as stream:
                protocol.send(cast(BinaryIO, stream), message)
                answer = protocol.receive(cast(BinaryIO, stream))
        except TimeoutError as error:
            raise AgentError(f"the agent does not answer on {layout.agent_socket}") from error
        except OSError:
            return None
    if answer is not None and "error" in answer:
        raise AgentError(f"the agent failed: {answer['error']}")
    return answer


def _address(layout: Layout) -> str:
    return os.fspath(layout.agent_socket)


def start(layout: Layout) -> None:
    """Start the agent and wait until it answers.

    Raises:
        AgentError: if it does not come up; its log says why.
    """
    words = [sys.executable, "-m", "netyard", "--root", str(layout.root)]
    with layout.agent_log.open("ab") as log:
        process = subprocess.Popen(
            [*words, "agent", "--exit-when-idle"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if request(layout, {"op": "ping"}) is not None:
            _leave_to_itself(process)
            return
        if process.poll() not in (None, 0):
            break
        time.sleep(0.005)
    raise AgentError(
        "the agent, which serves names, did not start", hint=f"its log is {layout.agent_log}"
    )


def _leave_to_itself(process: subprocess.Popen[bytes]) -> None:
    """The agent outlives us: it is not to be waited for or warned about."""
    process.returncode = 0
