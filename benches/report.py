"""What is written of the figures: ``docs/performance.md`` and ``benches/results/last.json``."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path

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
    dns = ["local/s", "ratio to the limit", "to that over a veth", "local, CPU us"]
    forwarded = [f"{kind}{what}" for kind in (REPEATED, ALL_NEW) for what in ("/s", ", CPU us")]
    paths = [f"{FEW} ports", f"{MANY} ports", f"{MANY} / {FEW}", "beside the map"]
    text = f"""# Performance

Written by `make bench` on {time.strftime("%Y-%m-%d")}: {os.cpu_count()} cores, kernel
{platform.release()}, Python {platform.python_version()}; medians of {ROUNDS} rounds. Everything in
a table was measured in one run, side by side; compare within a table, not across machines.

## The short of it

Multiples of the bare kernel's own time (the floor), or shares of what the fastest possible would do:

| work | here | aim | met | what stands in the way, and what was tried |
|---|---|---|---|---|
{"".join(aim.line() for aim in aims(results))}
## Networks and attachments, milliseconds

![Networks and attachments beside the peers](performance-lifecycle.svg)

{shown(results["lifecycle"], steps, "{:.2f}")}

The same as multiples of the kernel floor:

{shown(ratios, steps[:8], "{:.1f}")}

- netyard's operations are timed ten in a row, warm; before each row the kernel gets a tenth of a
  second to tidy up. The first after such a rest takes up to twice as long here, as caches are shared
  with other machines; peers' commands begin as cold, but that is little of what they take.
- The floor is raw netlink in C: no store, no names, no firewall, no checks.
- netyard's attach is `network.connect(container)` on a running container, with the lock, two
  recorded transactions, the name server told and answering. With 10 ports it is the adoption of a
  namespace, which opens the name server's door in it, and the publication.
- {BATCH} attachments are one `with host.batch():`, of containers whose addresses are new to the
  network, and so are {BATCH} and {GROUP} detachments, for which the floor deletes a whole link group.
- RTM_DELLINK waits for RCU, 20 to 50 ms. netyard takes links out of use, which takes a millisecond,
  and its agent deletes them. It also searches the connection table, 5 ms however few flows there
  are, for those of addresses that have gone; who takes one before that does it himself.

Where the time of one attachment goes, by cProfile and `perf`, of 1.7 ms: the pair, its far end on a
thread that enters the namespace, with its settings, and the port of the bridge 0.8; two transactions
of SQLite and a dozen questions 0.3; the name server, which learns of it meanwhile, 0.15; the rest is a
thousand calls of Python functions. The floor has the first, without the thread and the settings. In a batch the kernel has 0.5 ms of an endpoint,
less than the floor, as pairs are made with one queue each (with one a CPU the kernel waits for all
CPUs to take the others out of use) and bridges without multicast snooping; Python and SQLite 0.28. Of 1.65 ms for a network the bridge is 0.3, SQLite 0.25, the firewall 0.1,
looking at routes, addresses and others' firewalls 0.2, files under /proc and /etc 0.1.
What an announcement costs grows with the network, as it is sent to every port: 0.1
ms with 100, 3 ms with 900. So new addresses, which nobody can know elsewhere, are not announced.

## Published ports, milliseconds

{shown(results["ports"], [f"{PORTS} in one call", f"{PORTS} in as many words", "one more", "300 taken back"], "{:.1f}")}

The first two are what adopting a namespace takes longer with them: `-p 10000-19999:10000-19999`, and
{PORTS} flags. Two thirds of it are the kernel's, for elements whose keys hold the protocol and which
say whose they are. Of 300 taken back most is the search of the connection table. Docker, netavark
and the CNI plugins take seconds for a hundred: see `benches/peers`. 10,000 host ports that all
lead to one port inside are no row, and take 0.8 s.

## New connections per second through published ports

{shown(results["paths"], paths, "{:.5g}")}

A client, a router, a container: TCP connections to random ones of the published ports, closed with
RST; the three share the two cores. The maps are tables with one map, one rule and nothing else. What
netyard has besides: the filter, which lets packets of known connections pass by few rules; the check
of each container's source addresses; and, in the container's namespace, two chains at the output hook
that let all but questions of names pass.

## {CROWD} containers on one network

{shown(results["scale"], [FIRST, LAST], "{:.5g}")}

What grows with the crowd is the kernel's, by `perf` at 900, in milliseconds a start: settings of a new namespace are
looked up in one hash chain for all namespaces (1.3), mounting its /sys goes through all that there are
(0.5), the copy of the mount table that each container's mount namespace begins as has one mount for
every network namespace (0.9), a new port goes through all ports of the bridge (0.6); the rest are
caches that grow cold. The listeners of an idle agent take nothing; the rest of it wakes once a second,
to see whether /etc/resolv.conf or nf_tables have changed: two dozen system calls. To have the kernel
tell of nf_tables instead would cost whoever changes them a message for each element, and netyard's
own changes are most. Of {ASKED} containers
that are asked at once each has two questions in flight, so that each answer is a system call of its
own; so are those to {ASKED} sockets of one container.

## Names: answers per second on one core

![Names beside the peers](performance-names.svg)

{shown(results["dns"], dns, "{:.6g}")}

{NAMES} names, 96 questions in flight from a light client (`benches/peers/udpload.c`); the server has
one core, the client the other. netyard's figures include the way of 127.0.0.11:53 to its random port
in the container's namespace, by nf_tables rules that rewrite ports; the others are asked directly, on
the loopback, and aardvark-dns over a veth. The limits copy each question and add a constant record. On
another machine, by the same client, Docker's server gave 0.37 of the limit over a veth.

What is between netyard and the limit, by `perf`, of 2.1 us: rewriting the ports 0.25, parsing, finding
and writing the answer 0.15, the rest is more cache and TLB misses of a larger process.

Names that others are asked about, by one upstream server a veth away:

{shown({name: row for name, row in results["dns"].items() if forwarded[0] in row}, forwarded, "{:.6g}")}

{NAMES} names over and over, which all three remember, and names that nobody has asked before. Each new
question is asked from a socket and a port of its own (RFC 5452).

## Command line, whole processes, milliseconds

{shown(results["cli"], ["ms"], "{:.0f}")}

Most of a short command is Python's start and imports, of which click has the largest part. It asks
one thing each of `inspect` and `platform`, which `netyard.cli.deferred` answers without importing them.

## Regressions

`make counts`, part of `make test`, counts the instructions of hot paths with callgrind, on whatever
machine: {", ".join(sorted(next(iter(counts.values()))))}. More than a tenth above the baseline in
`benches/results/counts.json` fails; `make record-counts` makes a new one.
"""
    (HERE.parent / "docs" / "performance.md").write_text(text)
    print(text)
