"""The difference between the entries of a VXLAN device and those it should have: FDB, neighbours.

Pure. Reading and changing the entries is `netyard.agent.remote_endpoints`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netyard.values.parse import Address

#: A container on another host: its MAC address, the host it is behind (VTEP), its addresses.
Remote = tuple[bytes, Address, Sequence[Address]]
Pairs = Iterable[tuple[bytes, Address]]


def difference(
    wanted: Iterable[Remote], hosts: Pairs, addresses: Pairs
) -> tuple[list[Remote], list[Remote]]:
    """The entries to delete, and then those to add.

    Args:
        wanted: The containers that the device should lead to.
        hosts: The FDB as the kernel has it: MAC address and host.
        addresses: The neighbours as the kernel has them: MAC address and address.
    """
    own: dict[bytes, set[Address]] = {}
    for mac, address in addresses:
        own.setdefault(mac, set()).add(address)
    present = {mac: (host, own.pop(mac, set())) for mac, host in hosts}
    # Neighbours without an FDB entry; the host does not matter for those.
    present |= {mac: (min(some, key=str), some) for mac, some in own.items()}
    known = {mac: (host, set(some)) for mac, host, some in wanted}
    removed: list[Remote] = [
        (mac, host, sorted(some, key=str))
        for mac, (host, some) in present.items()
        if known.get(mac) != (host, some)
    ]
    added: list[Remote] = [
        (mac, host, sorted(some, key=str))
        for mac, (host, some) in known.items()
        if present.get(mac) != (host, some)
    ]
    return removed, added
