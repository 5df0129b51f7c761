"""Requests of commands to the agent, and starting it when it is first needed.

The messages are `netyard.ipc.protocol`, the other side is `netyard.agent.server`. Requests about
the cluster are `netyard.ipc.cluster`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import netyard._core as _core
from netyard.errors import AgentError
from netyard.firewall import conntrack
from netyard.ipc import protocol
from netyard.runtime.own_command import own_command
from netyard.state.layout import Layout
from netyard.state.records import Lease

if TYPE_CHECKING:
    from subprocess import Popen

_TALK_SECONDS = 30.0
_START_SECONDS = 15.0
_CROWDED_SECONDS = 0.01


def refresh(
    layout: Layout, containers: Sequence[str], *, needed: bool, ended: bool = False
) -> None:
    """Have the agent read these containers from the store again.

    Args:
        needed: Start the agent if it does not run; a new one reads all containers.
        ended: They have ended: the agent must close their namespaces.

    Raises:
        AgentError: if it is needed and does not start.
    """
    begin_refresh(layout, containers, ended=ended).finish(needed=needed)


def begin_refresh(layout: Layout, containers: Sequence[str], *, ended: bool = False) -> Refresh:
    """The same in two steps, so that the caller can do something else meanwhile."""
    message = {"op": "refresh", "containers": list(containers), "ended": ended}
    return Refresh(layout, _connect(layout, message))


class Refresh:
    """A request that was sent to the agent, and is not answered yet."""

    def __init__(self, layout: Layout, sock: socket.socket | None) -> None:
        self._layout = layout
        self._socket = sock

    def finish(self, *, needed: bool) -> None:
        """Wait until the agent is up to date; see `refresh`."""
        if self._answer() is None and needed:
            # Another request may have started it meanwhile, for a lease.
            ensure(self._layout)

    def _answer(self) -> dict[str, Any] | None:
        sock, self._socket = self._socket, None
        return None if sock is None else _receive(self._layout, sock)


def tidy(layout: Layout) -> None:
    """Have the agent do the deferred deletions; do them here if there is no agent.

    These are conntrack entries of addresses that are out of use, and links that are.
    """
    sock = _connect(layout, {"op": "tidy"})
    if sock is not None:
        # Not waited for: an agent does the same when it starts and when it ends.
        sock.close()
    else:
        conntrack.forget(layout)
        _core.sweep()


def rename(layout: Layout, container_id: str) -> None:
    """Have the agent replace a container's names by its present ones."""
    request(layout, {"op": "rename", "container": container_id})


def forget_network(layout: Layout, network_id: str) -> None:
    """Have the agent remove a network's zone."""
    request(layout, {"op": "forget", "network": network_id})


def begin_lease(layout: Layout, endpoint_id: str) -> None:
    """Have the agent ask for a lease for an endpoint."""
    request(layout, {"op": "lease", "endpoint": endpoint_id})


def lease_of(layout: Layout, endpoint_id: str) -> tuple[tuple[IPv4Address, Lease] | None, str]:
    """The DHCP lease of an endpoint; ``None`` and the reason if there is none yet."""
    answer = request(layout, {"op": "leased", "endpoint": endpoint_id}) or {}
    if "lease" not in answer:
        return None, answer.get("why", "")
    return (IPv4Address(answer["address"]), Lease(**json.loads(answer["lease"]))), ""


def release_leases(layout: Layout, endpoint_ids: Sequence[str]) -> None:
    """Have the agent release leases; start it if it does not run, since only it can."""
    message = {"op": "release", "endpoints": list(endpoint_ids)}
    if request(layout, message) is None:
        start(layout)
        request(layout, message)


def end(layout: Layout) -> None:
    """End the agent, if there is one."""
    answer = request(layout, {"op": "ping"})
    if answer is not None:
        with suppress(ProcessLookupError):
            os.kill(int(answer["pid"]), signal.SIGTERM)


def ensure(layout: Layout) -> None:
    """Start the agent if it does not run."""
    if request(layout, {"op": "ping"}) is None:
        start(layout)


def request(layout: Layout, message: dict[str, Any]) -> dict[str, Any] | None:
    """Send a request to the agent; its answer, ``None`` if it does not run.

    Raises:
        AgentError: if it runs and reports a failure.
    """
    sock = _connect(layout, message)
    return None if sock is None else _receive(layout, sock)


def _connect(layout: Layout, message: dict[str, Any]) -> socket.socket | None:
    """Send a request; ``None`` if no agent runs."""
    deadline = time.monotonic() + _TALK_SECONDS
    while True:
        try:
            return _send(layout, message)
        except (FileNotFoundError, ConnectionError):
            return None
        except BlockingIOError as error:
            # The socket's backlog is full, because of many requests at once.
            if time.monotonic() > deadline:
                raise AgentError(f"the agent does not answer on {layout.agent_socket}") from error
            time.sleep(_CROWDED_SECONDS)
        except TimeoutError as error:
            raise AgentError(f"the agent does not answer on {layout.agent_socket}") from error
        except OSError as error:
            raise AgentError(f"the agent cannot be asked: {error.strerror}") from error


def _send(layout: Layout, message: dict[str, Any]) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(_TALK_SECONDS)
        sock.connect(os.fspath(layout.agent_socket))
        sock.sendall(protocol.encode(message))
    except BaseException:
        sock.close()
        raise
    return sock


def _receive(layout: Layout, sock: socket.socket) -> dict[str, Any] | None:
    """The answer to a request; ``None`` if the agent has gone meanwhile."""
    try:
        with sock, sock.makefile("rb") as stream:
            answer = protocol.receive(cast(BinaryIO, stream))
    except TimeoutError as error:
        raise AgentError(f"the agent does not answer on {layout.agent_socket}") from error
    except OSError:
        return None
    if answer is not None and "error" in answer:
        raise AgentError(f"the agent failed: {answer['error']}")
    return answer


def start(layout: Layout) -> None:
    """Start the agent and wait until it answers.

    Raises:
        AgentError: if it does not start; its log says why.
    """
    # Imported here, because requests to an agent that runs do not need it.
    import subprocess

    with layout.agent_log.open("ab") as log:
        process = subprocess.Popen(
            own_command("--root", str(layout.root), "agent", "--exit-when-idle"),
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


def _leave_to_itself(process: Popen[bytes]) -> None:
    """The agent outlives this process: `subprocess` must not wait for it or warn about it."""
    process.returncode = 0
