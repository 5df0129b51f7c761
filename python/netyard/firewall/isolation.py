"""Isolation of containers on networks without icc: drops of frames between bridge ports. Pure.

Containers of such a network must not reach each other, not even by ARP, but must reach each other's
published ports by the host's address. The bridge's own port isolation cannot do that where
br_netfilter is on: a translated frame then goes from port to port as well. So frames between ports
are dropped by rules of the bridge family, unless they have the mark of the inet table, which sees
them first if br_netfilter is on. The mark is gone when the frame enters the container's namespace.
"""

from __future__ import annotations

from netyard.firewall.statements import Counter, Drop, GroupIs, MarkIsNot
from netyard.firewall.steps import AddChain, AddRule, AddTable, FlushChain, Statement, Step
from netyard.values.marks import APART_GROUP, PUBLISHED_MARK

_AFTER_BR_NETFILTER = 10


def apart_steps() -> list[Step]:
    """The chain in the bridge family's table."""
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
        AddRule(chain, [*statements, Counter(), Drop()], "icc=false: not allowed by table inet"),
    ]
