"""Entries of a VXLAN device: which are deleted and added so that they are as they should be."""

from __future__ import annotations

from ipaddress import ip_address

from netyard.drivers.overlay.fdb_diff import difference

ONE, TWO, THREE = (bytes([2, 0, 0, 0, 0, number]) for number in (1, 2, 3))
ALPHA, BETA = ip_address("10.99.1.2"), ip_address("10.99.2.2")
WEB, WEB6, DB = ip_address("10.0.0.2"), ip_address("fd00::2"), ip_address("10.0.0.3")
WANTED = [(ONE, ALPHA, [WEB, WEB6]), (TWO, BETA, [DB])]


def test_nothing_to_do() -> None:
    """Order does not matter."""
    hosts = [(TWO, BETA), (ONE, ALPHA)]
    addresses = [(TWO, DB), (ONE, WEB6), (ONE, WEB)]
    assert difference(WANTED, hosts, addresses) == ([], [])


def test_missing_moved_and_strange() -> None:
    """Another host, an address too few, somebody nobody knows, an address without a host."""
    assert difference(WANTED, [], []) == ([], WANTED)
    removed, added = difference(WANTED[1:], [(TWO, ALPHA), (ONE, ALPHA)], [(TWO, DB), (THREE, WEB)])
    assert removed == [(TWO, ALPHA, [DB]), (ONE, ALPHA, []), (THREE, WEB, [WEB])]
    assert added == [(TWO, BETA, [DB])]
    removed, added = difference(WANTED[:1], [(ONE, ALPHA)], [(ONE, WEB)])
    assert removed == [(ONE, ALPHA, [WEB])]
    assert [(mac, host, sorted(map(str, own))) for mac, host, own in added] == [
        (ONE, ALPHA, ["10.0.0.2", "fd00::2"])
    ]
