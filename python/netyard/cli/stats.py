"""``netyard stats``."""

from __future__ import annotations

import sys
import time

import click

from netyard.api.container import Container
from netyard.api.host import Host
from netyard.cli.context import current_host
from netyard.cli.table import format_option, show
from netyard.errors import NotFound
from netyard.lifecycle import usage
from netyard.lifecycle.usage import Sample, Stats
from netyard.values import limits
from netyard.values.ids import short

_COLUMNS = {
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "PIDs": "PIDS",
}
_SECONDS = 1.0
_CLEAR = "\x1b[2J\x1b[H"


@click.command()
@click.argument("names", nargs=-1, metavar="[CONTAINER...]")
@click.option("--no-stream", is_flag=True, help="Once, and end.")
@click.option("--no-trunc", is_flag=True, help="Full ids.")
@format_option
@click.pass_context
def stats(
    ctx: click.Context, names: tuple[str, ...], no_stream: bool, no_trunc: bool, output_format: str
) -> None:
    """Show what running containers use, each second; of all if none is named."""
    host = current_host(ctx)
    before = _samples(host, names)
    while True:
        time.sleep(_SECONDS)
        rows = []
        now = _samples(host, names)
        for container_id, (container, last) in now.items():
            if container_id in before:
                found = usage.between(container.record, before[container_id][1], last)
                shown = container_id if no_trunc else short(container_id)
                rows.append(_row(container.name, shown, found))
        if not no_stream and sys.stdout.isatty():
            click.echo(_CLEAR, nl=False)
        show(_COLUMNS, rows, output_format)
        if no_stream:
            return
        before = now


def _samples(host: Host, names: tuple[str, ...]) -> dict[str, tuple[Container, Sample]]:
    asked = [Container.get(name, host=host) for name in names]
    found = {}
    for each in asked or Container.list(host=host):
        try:
            found[each.id] = each, usage.sample(host, each.record)
        except NotFound:
            # Removed since the list was made.
            continue
    return found


def _row(name: str, container_id: str, stats: Stats) -> dict[str, str]:
    """As ``docker stats`` shows it; ``--`` is what is not counted."""
    share = None if stats.memory is None else 100 * stats.memory / stats.memory_limit
    used = "--" if stats.memory is None else limits.show_size(stats.memory)
    traffic = (_decimal(stats.received), _decimal(stats.sent))
    return {
        "Container": container_id,
        "ID": container_id,
        "Name": name,
        "CPUPerc": _percent(stats.cpu_percent),
        "MemUsage": f"{used} / {limits.show_size(stats.memory_limit)}",
        "MemPerc": _percent(share),
        "NetIO": " / ".join(traffic),
        "PIDs": "--" if stats.pids is None else str(stats.pids),
    }


def _percent(share: float | None) -> str:
    return "--" if share is None else f"{share:.2f}%"


def _decimal(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g}{unit}"
        size /= 1000
    return f"{size:.3g}TB"
