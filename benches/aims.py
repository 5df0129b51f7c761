"""The aims, the figures measured, and why some aims are not met."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from connections import FEW, MANY
from crowd import ASKED, CROWD, FIRST, LAST
from lifecycle import BATCH, GROUP
from measuring import FLOOR
from names import ALL_NEW, REPEATED
from publishing import PORTS

Table = dict[str, dict[str, float]]
_LIBRARY = "netyard (library)"
_UNBOUND = "unbound, 1 thread"


class Aim(NamedTuple):
    """A row.

    Attributes:
        at_most: Whether less is better.
        form: How a figure is shown.
        remark: The cause if it is not met, and what was tried.
    """

    work: str
    found: float
    aim: float
    at_most: bool
    form: str
    remark: str = ""

    @property
    def is_met(self) -> bool:
        """As the figures say, rounded as they are shown."""
        found = float(f"{self.found:.{self.form.partition('.')[2][0]}f}")
        return found <= self.aim if self.at_most else found >= self.aim

    def line(self) -> str:
        """In Markdown."""
        bound = "at most" if self.at_most else "at least"
        met = "yes" if self.is_met else "**no**"
        remark = "" if self.is_met else self.remark
        shown = self.form.format(self.found), f"{bound} {self.form.format(self.aim)}"
        return f"| {self.work} | {' | '.join(shown)} | {met} | {remark} |\n"


def aims(results: dict[str, Table]) -> Iterator[Aim]:
    """All of them."""
    yield from _of_networks(results["lifecycle"])
    yield from _of_ports(results["ports"], results["paths"])
    yield from _of_names(results["dns"], results["scale"])
    yield from _of_crowds(results["scale"])
    yield from _of_commands(results["cli"])


def _of_networks(rows: Table) -> Iterator[Aim]:
    floor, own = rows[FLOOR], rows[_LIBRARY]

    def times(work: str, column: str, aim: float, remark: str) -> Aim:
        return Aim(
            f"{work}, of the floor", own[column] / floor[column], aim, True, "{:.1f}x", remark
        )

    yield times(
        "attach one namespace",
        "attach",
        1.5,
        "the interpreter alone takes more time than the floor: of 1.7 ms, by `perf`, the kernel takes "
        "40 % (half of it for the floor's operations, half for sysctls, the bridge port's settings, "
        "the announcement, files and the socket of the agent), Python 45 %, SQLite (durable intent "
        "before and outcome after) 10 %. Tried: prepared statements, one netlink write, entering "
        "the namespace once, updating the name server at the same time; entering the namespace "
        "without a thread of its own (2 % less, but no safe return if it fails: not kept); one store "
        "query for what is queried several times (1 % less: not kept)",
    )
    yield times(
        "adopt a namespace with 10 ports",
        "attach 10 ports",
        1.7,
        "the same, and the name server's sockets in a new namespace, a test of each host port, the "
        "mount that keeps the namespace alive",
    )
    yield times(
        "attach in a batch, each",
        f"{BATCH} attachments, each",
        1.3,
        "the kernel's part is less than the floor, see below; addresses, leases, names and events in "
        "Python and SQLite take 0.28 ms. 1.3x in other runs",
    )
    yield times(
        f"detach {GROUP} in a batch, each",
        f"{GROUP} detachments, each",
        1.5,
        f"the floor only deletes a link group; netyard also releases addresses, leases and names of "
        f"{GROUP} containers. Was 1.8x, until the search for default routes was left out in "
        "namespaces that cannot have one any more (0.14 ms each)",
    )
    for column in ("detach", "remove network"):
        yield Aim(f"{column}, ms", own[column], 3, True, "{:.1f}")
    yield times(
        "create a network",
        "create network",
        3,
        "with all kernel calls replaced by stubs 60 % of the time remains, which is more than the "
        "aim: Python and SQLite (durable intent before, outcome after). Of the rest the bridge takes "
        "most, then the firewall's transaction. Tried, to measure possible gains: without the search "
        "for a free subnet (9 % less), without reading settings (3 %); without the check for other "
        "firewalls, the bridge's alias, the check of forwarding, or the event (no measurable gain); "
        "without all of these, 30 % less, which is still more than the aim. Reading files without "
        "Python's text layer: no gain, so not kept",
    )


def _of_ports(ports: Table, paths: Table) -> Iterator[Aim]:
    own, floor, connections = ports[_LIBRARY], ports[f"{FLOOR}, one map"], paths["netyard"]
    in_one_call = f"{PORTS} in one call"
    ratio = own[in_one_call] / floor[in_one_call]
    yield Aim(
        f"publish {PORTS} ports, of raw netlink",
        ratio,
        2,
        True,
        "{:.1f}x",
        "elements whose keys include the protocol and which have a comment take the kernel longer "
        "than those of the floor: two thirds of the time. Was 0.6 s, then 40 ms: consecutive ports "
        "are parsed, checked and stored as one range, and expanded in Rust. 2.0x in other runs",
    )
    yield Aim(f"one more beside {PORTS}, ms", own["one more"], 1, True, "{:.1f}")
    yield Aim("unpublish 300, ms", own["300 unpublished"], 10, True, "{:.1f}")
    few = connections[f"{MANY} / {FEW}"]
    yield Aim(
        f"connections through {MANY} ports, of those through {FEW}", few, 0.95, False, "{:.2f}"
    )
    yield Aim(
        "the same, of those through a bare map",
        connections["beside the map"],
        0.95,
        False,
        "{:.2f}",
        "the filter, 2.3 us of 38 a connection by `perf`: it sees each packet of a connection, the "
        "map only the first. Was 0.83, then 0.91; improved by a chain for each direction, and by "
        "putting cheap or rarely matching rules first. Interface names cost 0.3 us of it, which "
        "indexes would not; but an index changes when a bridge is created again, and the rules would "
        "have to be changed with it",
    )


def _of_names(rows: Table, crowd: Table) -> Iterator[Aim]:
    own, unbound = rows["netyard"], rows[_UNBOUND]
    yield Aim(
        "local names a second, of the limit over a veth",
        own["to that over a veth"],
        0.90,
        False,
        "{:.2f}",
        "each packet's port is translated, so that containers can use port 53 themselves: two chains, "
        "because one translation has to come before conntrack and one after. Tried: busy polling "
        "before epoll, other batch sizes; the figure is without conntrack already",
    )
    yield Aim("CPU of the server for one, us", own["local, CPU us"], 5.5, True, "{:.1f}")
    one, several = crowd["answers/s to one of them"], crowd[f"answers/s to {ASKED} of them"]
    yield Aim(
        f"answers to one container with {CROWD} listeners, of with 100",
        one[LAST] / one[FIRST],
        0.90,
        False,
        "{:.2f}",
        "cache misses",
    )
    yield Aim(
        f"answers to {ASKED} at once of {CROWD}, of {ASKED} of 100",
        several[LAST] / several[FIRST],
        0.90,
        False,
        "{:.2f}",
        "each answer is a system call in another namespace, whose sockets and devices are in no "
        "cache. Runs on this machine give 0.88 to 1.03; profiles of both show no function with a "
        "larger share in one of them",
    )
    memory = crowd["agent, PSS in MiB"]
    each = (memory[LAST] - memory[FIRST]) * 1024 / (CROWD - 100)
    yield Aim("memory of the agent for a container, KiB", each, 40, True, "{:.1f}")
    idle = crowd["its name server idle, CPU ms a second"][LAST]
    yield Aim(f"CPU of {CROWD} idle listeners, ms a second", idle, 0, True, "{:.2f}")
    for kind in (ALL_NEW, REPEATED):
        ratio = own[f"{kind}/s"] / unbound[f"{kind}/s"]
        yield Aim(f"{kind}, of unbound's", ratio, 1, False, "{:.2f}x")


def _of_crowds(crowd: Table) -> Iterator[Aim]:
    memory = crowd["agent, PSS in MiB"][LAST]
    yield Aim(f"memory of the agent with {CROWD} containers, MiB", memory, 60, True, "{:.0f}")
    yield _of_the_last(
        crowd,
        "run",
        f"starting the last 100 of {CROWD}, of the first",
        "kernel lists shared by all containers, of mounts, sysctls of namespaces and bridge ports: "
        "two thirds of the difference, by `perf`, see below. Tried: a procfs mount for each, where "
        "sysctls do not share one hash chain (24 us for four instead of 107 beside 300 namespaces); "
        "closing it waits for RCU, 80 to 400 us, so not kept",
    )
    for what in ("list", "inspect"):
        yield _of_the_last(crowd, what, f"{what}, for each of {CROWD}, of each of 100")
    yield _of_the_last(
        crowd,
        "remove",
        f"removing 100 beside {CROWD - 100}, of the last 100",
        "the same kernel lists, searched while the RTNL lock is held: a bridge searches its ports "
        "when one is removed, and IPv6 the routes of all ports when one goes down (0.85 of 1.1 ms, by "
        "`perf`). Was 2.0x, until the search for links out of use skipped bridge ports. Not done: "
        "removing the link from the bridge before it is down, one search less; but for a moment the "
        "host would receive packets on it that pass none of the bridge's rules",
    )


def _of_the_last(crowd: Table, what: str, name: str, remark: str = "") -> Aim:
    """The time for the last of the crowd, as a multiple of that for the first hundred."""
    each = crowd[f"{what}, ms each"]
    return Aim(name, each[LAST] / each[FIRST], 1.2, True, "{:.1f}x", remark)


def _of_commands(rows: Table) -> Iterator[Aim]:
    yield Aim("`netyard network ls`, ms", rows["netyard network ls"]["ms"], 60, True, "{:.0f}")
    docker = [row["ms"] for name, row in rows.items() if name.startswith("docker")]
    if docker:
        ratio = min(docker) / rows["netyard run --rm --network cli true"]["ms"]
        yield Aim(
            "`run --rm`, as fast as `docker run --rm`",
            ratio,
            4,
            False,
            "{:.1f}x",
            "two thirds of the time is the start of Python and imports, half of these of click and the "
            "standard library. Tried, and kept: no garbage collection while importing (6 % less); "
            "imports when they are needed; no finalization of the interpreter at exit; and after "
            "the run that this table shows, click without `inspect` and `platform`, and the "
            "installed command measured instead of `python -m netyard`: 70 ms then instead of 81",
        )
