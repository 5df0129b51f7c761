"""Host ports: which there are to choose from, which are taken, and by which process.

Looks at the sockets of the host; the ports that other containers have are in the store.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from netyard.errors import Exhausted, Invalid, PortInUse
from netyard.values.ports import PortRequest
from netyard.values.printable import printable

_DEFAULT_RANGE = (49153, 65535)


def automatic_range() -> tuple[int, int]:
    """Where host ports are chosen from: the host's own ephemeral range (contract PB9)."""
    try:
        words = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
        return int(words[0]), int(words[1])
    except (OSError, ValueError, IndexError):
        return _DEFAULT_RANGE


def candidates(request: PortRequest, last_given: int) -> Iterator[int]:
    """Host ports to try, in order."""
    if request.host_ports:
        yield from request.host_ports
        return
    first, last = automatic_range()
    start = last_given + 1 if first <= last_given < last else first
    yield from range(start, last + 1)
    yield from range(first, start)


def probe(family: int, protocol: str, host_ip: str, port: int) -> str | None:
    """Why a process of the host keeps this port from being published, or ``None``.

    A real bind, so that every server on every address counts.
    """
    kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}
    number = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": 132}[protocol]
    af = socket.AF_INET if family == 4 else socket.AF_INET6
    try:
        sock = socket.socket(af, kind[protocol], number)
    except OSError:
        # A kernel without this protocol has nobody who could hold the port.
        return None
    with sock:
        if family == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":
            # Only listeners count: connections that linger in TIME_WAIT hold nothing.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host_ip or ("0.0.0.0" if family == 4 else "::"), port))
            if protocol == "tcp":
                sock.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return None


def held(protocol: str) -> set[int]:
    """Ports that sockets of the host have, on any address: those worth a `probe`.

    For very many: a TCP socket that is bound and does not listen is not among them.
    """
    return {port for port, _ in _sockets(protocol)}


def check_sctp(request: PortRequest) -> None:
    """Refuse SCTP on kernels whose firewall cannot translate it.

    Only connection tracking is needed: the host itself need not speak it.
    """
    if not Path("/proc/sys/net/netfilter/nf_conntrack_sctp_timeout_established").exists():
        raise Invalid(
            f"--publish: {request.shown!r}: this kernel does not track sctp connections",
            field="--publish",
            value=request.text,
        )


def find_owner(protocol: str, port: int) -> str:
    """The process that listens on a host port, for messages: ``name (pid N)``, or empty."""
    inodes = {inode for other, inode in _sockets(protocol) if other == port}
    if not inodes:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            for fd in (process / "fd").iterdir():
                if str(fd.readlink()) in inodes:
                    # Any process calls itself what it likes.
                    name = (process / "comm").read_bytes().decode(errors="replace")
                    return f"{printable(name.rstrip())} (pid {process.name})"
        except OSError:
            continue
    return ""


def _sockets(protocol: str) -> Iterator[tuple[int, str]]:
    """Port and inode, as a descriptor shows it, of every socket that can be asked."""
    listening = {"tcp": "0A", "udp": "07"}.get(protocol)
    for table in (protocol, f"{protocol}6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == listening:
                yield int(words[1].rpartition(":")[2], 16), f"socket:[{words[9]}]"


def taken_error(request: PortRequest, host_ip: str, port: int, holder: str) -> PortInUse:
    """The message for a port that is taken."""
    where = f"[{host_ip}]" if ":" in host_ip else host_ip
    return PortInUse(
        f"--publish: {request.shown!r}: {request.protocol} port {where}:{port} is taken by "
        f"{holder}",
        holder=holder,
    )


def exhausted_error(request: PortRequest) -> Exhausted:
    """The message when no candidate was free."""
    return Exhausted(f"--publish: {request.shown!r}: no {request.protocol} host port is free")
