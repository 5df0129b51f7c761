"""The WireGuard tunnel that carries encrypted overlay networks between hosts: device, key, peers.

One device a host. Its private key is made here and is only in a file of this host: etcd has the
public keys, published by `netyard.cluster.registry`. Each host has a link-local address in the
tunnel, derived from its id. VXLAN packets to this address can leave by this device only, and
packets for it can arrive by this device only, whatever the firewall's rules are.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import netyard._core as _core
from netyard.cluster import decode
from netyard.cluster.entries import HOSTS, HostEntry, tunnel_address
from netyard.cluster.etcd import Batch, Entry
from netyard.errors import Conflict, KernelError, Unsupported
from netyard.options.overlay import TUNNEL_PORT
from netyard.state.layout import Layout
from netyard.values.parse import Address

_LOG = logging.getLogger("netyard.agent")
# Outer IP and UDP headers, and WireGuard's own with its tag (its white paper, 5.4.6).
_OVERHEAD = {4: 60, 6: 80}
_KEY_BYTES = 32
# Keepalive to a peer with a new key: starts a handshake at once, and keeps the session.
_KEEPALIVE_SECONDS = 25


class _TunnelSpec(NamedTuple):
    name: str
    address: Address
    prefix: int
    mtu: int
    private_key: bytes
    port: int
    sysctls: Sequence[tuple[str, str]]


class WireguardTunnel:
    """See the module; a `netyard.cluster.watch.WatchHandler` of the hosts.

    Args:
        host_id: This host's id.
        underlay: Its address on the network between the hosts.
    """

    def __init__(self, layout: Layout, host_id: str, underlay: str) -> None:
        self._device = layout.tunnel
        self._key_file = layout.tunnel_key
        self._host_id = host_id
        self._underlay = ip_address(underlay)
        self._known: dict[str, HostEntry] = {}
        self._lock = threading.Lock()
        self._is_new = False

    def ensure_device(self) -> str:
        """Make the device if it is not there.

        Returns:
            Its public key, in hexadecimal digits.

        Raises:
            Unsupported: if the kernel has no WireGuard, or no IPv6.
        """
        if not _core.knows_wireguard():
            raise Unsupported(
                "--opt encrypted: this kernel has no WireGuard: it lacks the module 'wireguard'"
            )
        if not Path("/proc/sys/net/ipv6").exists():
            raise Unsupported("--opt encrypted: this kernel has no IPv6, which the tunnel uses")
        self._is_new = self._device not in {link.name for link in _core.list_links()}
        return self._configure(_read_key(self._key_file) or _new_key(self._key_file))

    def change_key(self, announce: Callable[[str], object]) -> None:
        """Make a new key.

        The device gets it first, because the kernel computes the public key. The other hosts get
        that a few milliseconds later and start a handshake. The file is written last: after a kill
        before that, the next agent goes on with the old key.

        Args:
            announce: Publishes the public key, given in hexadecimal digits.
        """
        key = os.urandom(_KEY_BYTES)
        with self._lock:
            before = _read_key(self._key_file)
            public = self._configure(key)
            try:
                announce(public)
            except BaseException:
                if before is not None:
                    self._configure(before)
                raise
            _write_key(self._key_file, key)
            self._add_peers(self._known.values(), _KEEPALIVE_SECONDS)

    def remove(self) -> None:
        """Delete the device, and with it the connections through it."""
        _core.delete_links([self._device])

    def replace(self, entries: Iterable[Entry]) -> None:
        """See `WatchHandler.replace`."""
        present = list(entries)
        with self._lock:
            ids = {entry.key.removeprefix(HOSTS) for entry in present}
            self._apply([each for each in self._known if each not in ids], present)

    def resume(self) -> None:
        """See `WatchHandler.resume`."""
        self.program()

    def change(self, batch: Batch) -> None:
        """See `WatchHandler.change`."""
        with self._lock:
            # An entry that is overwritten with an unreadable value counts as deleted.
            keys = (*batch.deletes, *(entry.key for entry in batch.puts))
            self._apply([key.removeprefix(HOSTS) for key in keys], batch.puts)

    def program(self) -> None:
        """Add all other hosts to the device as peers.

        A device that was made just now starts handshakes: its peers may still have sessions with
        the one before.
        """
        with self._lock:
            seconds = _KEEPALIVE_SECONDS if self._is_new else 0
            self._is_new = False
            self._add_peers(self._known.values(), seconds)

    def _configure(self, key: bytes) -> str:
        spec = _TunnelSpec(
            name=self._device,
            address=tunnel_address(self._host_id),
            prefix=64,
            mtu=self._mtu(),
            private_key=key,
            port=TUNNEL_PORT,
            sysctls=_sysctls(self._device),
        )
        return _core.ensure_tunnel(spec).hex()

    def _mtu(self) -> int:
        links = {link.index: link for link in _core.list_links()}
        for index, address, _ in _core.list_addresses():
            if address == self._underlay:
                return links[index].mtu - _OVERHEAD[self._underlay.version]
        raise Conflict(f"this host does not have {self._underlay}, the address it advertises")

    def _apply(self, gone: Iterable[str], entries: Iterable[Entry]) -> None:
        found = list(decode.hosts(entries))
        others = {each.id: each for each in found if each.id != self._host_id and each.public_key}
        before = {each: self._known.pop(each) for each in (*gone, *others) if each in self._known}
        self._known |= others
        kept = {each.public_key for each in self._known.values()}
        removed = [key for each in before.values() if (key := each.public_key) not in kept]
        new = [each for each in others.values() if each.id not in before]
        renewed = [
            each
            for each in others.values()
            if each.id in before and before[each.id].public_key != each.public_key
        ]
        try:
            _core.change_peers(self._device, [bytes.fromhex(key) for key in removed], [], 0)
        except KernelError as error:
            _LOG.error("tunnel: %s", error)
        self._add_peers(new, 0)
        self._add_peers(renewed, _KEEPALIVE_SECONDS)

    def _add_peers(self, hosts: Iterable[HostEntry], keepalive_seconds: int) -> None:
        peers = [
            (
                bytes.fromhex(each.public_key),
                ip_address(each.address),
                TUNNEL_PORT,
                tunnel_address(each.id),
            )
            for each in hosts
        ]
        try:
            if peers:
                _core.change_peers(self._device, [], peers, keepalive_seconds)
        except KernelError as error:
            _LOG.error("tunnel: %s", error)


def _sysctls(device: str) -> list[tuple[str, str]]:
    return [
        (f"net.ipv6.conf.{device}.disable_ipv6", "0"),
        (f"net.ipv6.conf.{device}.addr_gen_mode", "1"),
        (f"net.ipv6.conf.{device}.accept_ra", "0"),
    ]


def _read_key(path: Path) -> bytes | None:
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    return found if len(found) == _KEY_BYTES else None


def _new_key(path: Path) -> bytes:
    key = os.urandom(_KEY_BYTES)
    _write_key(path, key)
    return key


def _write_key(path: Path, key: bytes) -> None:
    draft = path.with_suffix(".new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as stream:
        stream.write(key)
        stream.flush()
        os.fsync(stream.fileno())
    draft.rename(path)
