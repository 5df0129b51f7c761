"""What the kernel knows of other hosts' containers against what it should know. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netyard.values.parse import Address

# MAC address, host, and the container's own addresses.
Remote = tuple[bytes, Address, Sequence[Address]]
Pairs = Iterable[tuple[bytes, Address]]


def difference(
    wanted: Iterable[Remote], hosts: Pairs, addresses: Pairs
) -> tuple[list[Remote], list[Remote]]:
    """What to take away, and then to add.

    Args:
        hosts: Which host each MAC address is behind, as the kernel has it.
        addresses: Which addresses each MAC address has, as the kernel has it.
    """
    own: dict[bytes, set[Address]] = {}
    for mac, address in addresses:
        own.setdefault(mac, set()).add(address)
    present = {mac: (host, own.pop(mac, set())) for mac, host in hosts}
    # Addresses of nobody; the host does not matter for those.
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
