"""Networks without icc: frames between their containers' ports are dropped. Pure.

Containers of such a network must not reach each other, not even by ARP, but must reach one
another's published ports by the host's address. Port isolation of the bridge cannot tell the two
apart where br_netfilter translates bridged frames: it then sends them from port to port. So
frames between ports are dropped in the bridge family unless the inet table, which sees them
first if br_netfilter is on, has marked them. The mark ends with the frame's way into the
container's namespace.
"""

from __future__ import annotations

from netyard.firewall.statements import (
    AddChain,
    AddRule,
    AddTable,
    Counter,
    Drop,
    FlushChain,
    GroupIs,
    MarkIsNot,
    Statement,
    Step,
)
from netyard.options import bridge as bridge_options
from netyard.state.records import NetworkRecord
from netyard.values.marks import APART_GROUP, PUBLISHED_MARK

_AFTER_BR_NETFILTER = 10


def apart_steps() -> list[Step]:
    """The bridge family's table."""
    chain = "apart"
    statements: list[Statement] = [
        GroupIs("iifgroup", APART_GROUP),
        GroupIs("oifgroup", APART_GROUP),
        MarkIsNot(PUBLISHED_MARK, PUBLISHED_MARK),
    ]
    return [
        AddTable(),
        AddChain(chain, "filter", "forward", _AFTER_BR_NETFILTER, None),
        FlushChain(chain),
        AddRule(chain, [*statements, Counter(), Drop()], "only what inet has allowed"),
    ]


def is_apart(network: NetworkRecord) -> bool:
    """Whether containers of a network are kept apart (contract BO2)."""
    return not bridge_options.allows_icc(network.options)
