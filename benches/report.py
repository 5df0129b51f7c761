"""Reports of the figures: ``docs/performance.md`` and ``benches/results/last.json``."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from aims import aims
from connections import FEW, MANY
from crowd import ASKED, CROWD, FIRST, LAST
from lifecycle import BATCH, GROUP
from measuring import FLOOR, ROUNDS
from names import ALL_NEW, NAMES, REPEATED
from publishing import PORTS

HERE = Path(__file__).parent
Table = dict[str, dict[str, float]]


def shown(rows: dict[str, dict[str, float]], columns: list[str], form: str) -> str:
    """A table in Markdown."""
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, cells in rows.items():
        cells_shown = (form.format(cells[column]) if column in cells else "–" for column in columns)
        lines.append(f"| {name} | " + " | ".join(cells_shown) + " |")
    return "\n".join(lines)


_SECTION = "## Beside the build before containers were confined"


def section_of_builds(found: dict[str, Any]) -> str:
    """What `builds.py` has measured, in Markdown."""
    runs, library = found["run"], found["library"]
    ms = ["ms", "CPU ms"]
    names = {
        "before": "netyard, before",
        "after": "netyard",
        "difference": "netyard, difference within a turn",
        "docker": "docker (userland-proxy off)",
        "podman": "podman",
    }
    shown_runs = {names[each]: runs[each] for each in names if each in runs}
    kinds = {names[each]: library[each] for each in ("before", "after", "difference")}
    memory = {names[each]: found["supervisor"][each] for each in ("before", "after")}
    return f"""{_SECTION}

Written by `python benches/builds.py` on {found["when"]}, kernel {found["kernel"]}, Python
{found["python"]}: {found["turns"]} turns, in each of which every contestant had one. {found["remark"]}

`run --rm … true`, milliseconds; CPU is of the command and the children it waits for:

{shown(shown_runs, ms, "{:.1f}")}

The library, milliseconds; a batch is of {found["batch"]}:

{shown(kinds, list(library["after"]), "{:.2f}")}

On 2026-11-28 `count.py`, which other load does not disturb, had 4.61 million instructions for connecting
and disconnecting instead of 4.48: events are held until a change is certain.

Memory of a container's supervisor that has kept 18 MB of output, KiB:

{shown(memory, ["PSS", "private", "RSS"], "{:.0f}")}

Instructions of a whole `run --rm --userns host`, by callgrind, without the kernel's and those of other
processes: {found["instructions"]["before"]:,} before, {found["instructions"]["after"]:,} now. Two thirds
of what is more are imports: limits, volumes, logs, the filter of system calls. The rest of the time is
the shim's: 300 system calls to mount by descriptors, and a mount namespace more.

"""


def with_section(page: str, section: str) -> str:
    """The page with this section in place of the one it had, or before the last."""
    before, heading, rest = page.partition(_SECTION)
    if not heading:
        before, heading, rest = page.partition("## Regressions")
        return before + section + heading + rest
    return before + section + "## " + rest.partition("\n## ")[2]


def write(results: dict[str, Table]) -> None:
    """Keep the figures, and the page about them."""
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "last.json").write_text(json.dumps(results, indent=1) + "\n")
    steps = [
        "create network",
        "attach",
        "attach 10 ports",
        "detach",
        "remove network",
        f"{BATCH} attachments, each",
        f"{BATCH} detachments, each",
        f"{GROUP} detachments, each",
        "attachments one by one",
        "detachments one by one",
        "adopt a namespace, whole",
    ]
    base = results["lifecycle"][FLOOR]
    ratios = {
        name: {key: value / base[key] for key, value in cells.items() if key in base}
        for name, cells in results["lifecycle"].items()
    }
    counts = json.loads((HERE / "results" / "counts.json").read_text())
    builds = json.loads((HERE / "results" / "builds.json").read_text())
    dns = ["local/s", "ratio to the limit", "to that over a veth", "local, CPU us"]
    forwarded = [f"{kind}{what}" for kind in (REPEATED, ALL_NEW) for what in ("/s", ", CPU us")]
    paths = [f"{FEW} ports", f"{MANY} ports", f"{MANY} / {FEW}", "beside the map"]
    text = f"""# Performance

Written by `make bench` on {time.strftime("%Y-%m-%d")}: {os.cpu_count()} cores, kernel
{platform.release()}, Python {platform.python_version()}; medians of {ROUNDS} rounds. Everything in
a table was measured in one run, side by side; compare within a table, not across machines.

## Summary

Multiples of the time that the same kernel operations take without netyard (the floor), or shares of
what the fastest possible program reaches:

| work | here | aim | met | cause if not met, and what was tried |
|---|---|---|---|---|
{"".join(aim.line() for aim in aims(results))}
## Networks and attachments, milliseconds

![Networks and attachments beside the peers](performance-lifecycle.svg)

{shown(results["lifecycle"], steps, "{:.2f}")}

The same as multiples of the kernel floor:

{shown(ratios, steps[:8], "{:.1f}")}

- netyard's operations are timed in series of ten, with warm caches; before each series the kernel
  has a tenth of a second to finish deferred work. The first operation after such a pause takes up to
  twice as long on this machine, because its caches are shared with other virtual machines. Peers'
  commands start with cold caches as well, but that is a small part of their time.
- The floor is raw netlink in C: no store, no names, no firewall, no checks.
- netyard's attach is `network.connect(container)` on a running container. It includes the lock, two
  durable transactions, and the update of the name server. With 10 ports it is the adoption of a
  namespace, which opens the name server's sockets in it, and the publication.
- {BATCH} attachments are one `with host.batch():`, of containers whose addresses are new to the
  network, and so are {BATCH} and {GROUP} detachments, for which the floor deletes a whole link group.
- RTM_DELLINK waits for RCU, 20 to 50 ms. netyard takes links out of use, which takes a millisecond,
  and its agent deletes them later. The agent also deletes the conntrack entries of released
  addresses, a search of 5 ms however few entries there are; a command that allocates such an address
  before that deletes them itself.

One attachment takes 1.7 ms, by cProfile and `perf`: 0.8 ms for the veth pair, its inner end (on a
thread that enters the namespace) with its sysctls, and the bridge port; 0.3 ms for two SQLite
transactions and a dozen queries; 0.15 ms for the name server, which is updated at the same time; the
rest for a thousand calls of Python functions. The floor has the first of these, without the thread
and the sysctls. In a batch an endpoint takes the kernel 0.5 ms, less than the floor: pairs are
created with one queue each (with one a CPU the kernel waits for all CPUs to take the others out of
use), and bridges without multicast snooping. Python and SQLite take 0.28 ms. Of 1.65 ms for a network
the bridge takes 0.3, SQLite 0.25, the firewall 0.1, reading routes, addresses and other firewalls
0.2, files under /proc and /etc 0.1. The time of an announcement grows with the network, because it is
sent to every port: 0.1 ms with 100 ports, 3 ms with 900. So new addresses, which are in no neighbour
table yet, are not announced.

## Published ports, milliseconds

{shown(results["ports"], [f"{PORTS} in one call", f"{PORTS} as single flags", "one more", "300 unpublished"], "{:.1f}")}

The first two are the additional time of an adoption with these ports: `-p 10000-19999:10000-19999`, and
{PORTS} flags. Two thirds of it is kernel time, for set elements whose keys include the protocol and
which have a comment with the container's id. For 300 removed ports most of the time is the search of
the conntrack table. Docker, netavark and the CNI plugins take seconds for a hundred: see
`benches/peers`. 10,000 host ports that all lead to one container port cannot be stored as one range,
and take 0.8 s.

## New connections per second through published ports

{shown(results["paths"], paths, "{:.5g}")}

A client, a router and a container: TCP connections to random published ports, closed with RST; the
three share the two cores. The tables to compare with have one map, one rule and nothing else. In
addition netyard has the filter, where packets of established connections pass few rules; the check of
each container's source addresses; and, in the container's namespace, two chains at the output hook,
which act on DNS packets only.

## {CROWD} containers on one network

{shown(results["scale"], [FIRST, LAST], "{:.5g}")}

What grows with the number of containers is kernel time, by `perf` at 900, in milliseconds a start:
sysctls of a new namespace are looked up in one hash chain for all namespaces (1.3), mounting its /sys
searches all sysfs mounts (0.5), the copy of the mount table for each container's mount namespace has
one mount for every network namespace (0.9), adding a bridge port searches all ports of the bridge
(0.6); the rest is cache misses. The listeners of an idle agent take no CPU time. The rest of
the agent wakes once a second, to check whether /etc/resolv.conf or nf_tables have changed: two dozen
system calls. With notifications of nf_tables instead, every change would cost a message for each
element, and most changes are netyard's own. Each of {ASKED} containers that ask at once has two
queries in flight, so each answer needs a system call; so do answers to {ASKED} sockets of one
container.

## Names: answers per second on one core

![Names beside the peers](performance-names.svg)

{shown(results["dns"], dns, "{:.6g}")}

{NAMES} names, 96 queries in flight from a small client (`benches/peers/udpload.c`); the server has
one core, the client the other. netyard's figures include the translation of 127.0.0.11:53 to its
random port in the container's namespace, by nf_tables rules; the other servers are queried directly,
on the loopback, and aardvark-dns over a veth. The limits copy each query and add a constant record. On
another machine, with the same client, Docker's server reached 0.37 of the limit over a veth.

The difference between netyard and the limit, by `perf`, of 2.1 us: 0.25 for the translation of ports,
0.15 for parsing the query, lookup and writing the answer; the rest is more cache and TLB misses of a
larger process.

Forwarded names, with one upstream server, reached over a veth:

{shown({name: row for name, row in results["dns"].items() if forwarded[0] in row}, forwarded, "{:.6g}")}

{NAMES} names repeatedly, which all but aardvark-dns cache, and unique names. Each query to
the upstream server has a socket and a port of its own (RFC 5452).

## Command line, whole processes, milliseconds

{shown(results["cli"], ["ms"], "{:.0f}")}

Most of a short command's time is the start of Python and imports, of which click is the largest part.
click needs one function each of `inspect` and `platform`, which `netyard.cli.deferred` provides without
importing them.

## Regressions

`make counts`, part of `make test`, counts the instructions of hot paths with callgrind, on any
machine: {", ".join(sorted(next(iter(counts.values()))))}. More than a tenth above the baseline in
`benches/results/counts.json` fails; `make record-counts` makes a new one.
"""
    text = with_section(text, section_of_builds(builds))
    (HERE.parent / "docs" / "performance.md").write_text(text)
    print(text)
