"""How netyard marks what is its own in the kernel: link groups and packet marks, on one page.

Interface names and aliases derive from ids and roots: see `netyard.values.ids` and
`netyard.state.layout`. Three marks are the core's, because only it uses them: the route protocol
121 of default routes (``rust/netlink/src/defaults.rs``), the link group 0x4E58 ("NX") of links out
of use (``rust/py/src/retire.rs``), and the link groups 0x6E79… ("ny") of links that one request
deletes (``rust/py/src/links.rs``). ``docs/glossary.md`` has all of them in a table.
"""

from __future__ import annotations

#: Link group of the host's end of an endpoint on a bridge ("NY"), to tell it from other interfaces.
PORT_GROUP = 0x4E59
#: The same on networks without icc ("NZ"): see `netyard.firewall.isolation`.
APART_GROUP = 0x4E5A
#: The first hexadecimal digit of the link group of a child of a parent interface; the other
#: `CHILD_GROUP_DIGITS` are the first of its endpoint's id.
CHILD_GROUP_MARK = 1
CHILD_GROUP_DIGITS = 7
#: Packet mark, and its mask, of packets that the inet table has let in between two ports of a
#: network without icc.
PUBLISHED_MARK = 0x4E590000
