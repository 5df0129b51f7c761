"""Networks without icc: frames between their containers' ports are dropped. Pure.

Containers of such a network must not reach each other, not even by ARP, but must reach one
another's published ports by the host's address. Port isolation of the bridge cannot tell the two
apart where br_netfilter translates bridged frames: it then sends them from port to port. So
frames between ports are dropped in the bridge family unless the inet table, which sees them
first if br_netfilter is on, has marked them. The mark ends with the frame's way into the
container's namespace.
"""

from __future__ import annotations

from netyard.firewall.statements import Statement, Step
from netyard.options import bridge as bridge_options
from netyard.state.records import NetworkRecord
from netyard.values.marks import APART_GROUP, PUBLISHED_MARK

_AFTER_BR_NETFILTER = 10


def apart_steps() -> list[Step]:
    """The bridge family's table."""
    chain = "apart"
    statements: list[Statement] = [
        ("group is", "iifgroup", APART_GROUP),
        ("group is", "oifgroup", APART_GROUP),
        ("mark is not", PUBLISHED_MARK, PUBLISHED_MARK),
    ]
    return [
        ("add table",),
        ("add chain", chain, "filter", "forward", _AFTER_BR_NETFILTER, None),
        ("flush chain", chain),
        ("add rule", chain, [*statements, ("counter",), ("drop",)], "only what inet has allowed"),
    ]


def is_apart(network: NetworkRecord) -> bool:
    """Whether containers of a network are kept apart (contract BO2)."""
    return not bridge_options.allows_icc(network.options)
