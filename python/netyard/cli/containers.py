"""Commands that look at containers or end them."""

from __future__ import annotations

import re
import shlex
import sys
from typing import Any

import click

from netyard.api.container import Container
from netyard.api.network import Network
from netyard.cli.context import current_host
from netyard.cli.each import for_each, inspect_format_option, show_each
from netyard.cli.formats import table_or_json
from netyard.cli.table import ago, format_labels, format_option, label_method, show
from netyard.errors import Invalid, NotFound
from netyard.networks import egress
from netyard.state.records import ContainerRecord
from netyard.values.ids import short

_COMMAND_WIDTH = 30


@click.command()
@format_option
@click.option("-a", "--all", "show_all", is_flag=True, help="Stopped ones, too.")
@click.option("-q", "--quiet", is_flag=True, help="Only ids.")
@click.option("--no-trunc", is_flag=True, help="Full ids and commands.")
@click.option(
    *("-f", "--filter"),
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only what fits. Keys: id, name, label, status, exited, network, publish, expose, before, "
    "since.",
)
@click.pass_context
def ps(
    ctx: click.Context,
    output_format: str,
    show_all: bool,
    quiet: bool,
    no_trunc: bool,
    filters: tuple[str, ...],
) -> None:
    """List containers."""
    from netyard.api.inspect import format_lacking, format_ports

    host = current_host(ctx)
    rows = []
    # As in Docker, asking for a status shows those of it, running or not.
    shows_all = show_all or any(word.startswith(("status=", "exited=")) for word in filters)
    for each in Container.list(all=shows_all, filters=filters, host=host):
        try:
            record = each.record
        except NotFound:
            # Removed since the list was made.
            continue
        shown = record.id if no_trunc else short(record.id)
        if quiet:
            click.echo(shown)
            continue
        attached = egress.without(host.store.attachments_of(record.id))
        rows.append(
            {
                "ID": shown,
                "Command": _command(record, full=no_trunc),
                "CreatedAt": record.created,
                "RunningFor": f"{ago(record.created)} ago",
                "Status": _status(record) + format_lacking(host, record),
                "State": record.state,
                "Ports": format_ports(host, record),
                "Names": record.name,
                "Networks": ",".join(each.network.name for each in attached),
                "Labels": format_labels(record.spec.labels),
            }
        )
    if quiet:
        return
    columns = {
        "ID": "CONTAINER ID",
        "Command": "COMMAND",
        "RunningFor": "CREATED",
        "Status": "STATUS",
        "Ports": "PORTS",
        "Names": "NAMES",
    }
    show(columns, rows, output_format, methods=label_method)


def _command(record: ContainerRecord, *, full: bool) -> str:
    words = record.spec.command
    text = shlex.join(words) if words else "(adopted)"
    if not full and len(text) > _COMMAND_WIDTH:
        text = text[: _COMMAND_WIDTH - 1] + "…"
    return f'"{text}"' if words else text


def _status(record: ContainerRecord) -> str:
    if record.state == "running":
        return f"Up {ago(record.started)}"
    if record.state == "exited":
        # A start that failed late has taken the time with it.
        when = f" {ago(record.finished)} ago" if record.finished else ""
        return f"Exited ({record.exit_code}){when}"
    return "Created"


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@inspect_format_option
@click.pass_context
def inspect(ctx: click.Context, names: tuple[str, ...], template: str | None) -> None:
    """Show containers (or networks) in full, as JSON."""
    host = current_host(ctx)

    def find(name: str) -> dict[str, Any]:
        try:
            return Container.get(name, host=host).inspect()
        except NotFound:
            pass
        try:
            return Network.get(name, host=host).inspect()
        except NotFound:
            raise NotFound(f"there is no container or network {name!r}") from None

    show_each(ctx, names, find, template)


@click.command()
@click.argument("name", metavar="CONTAINER")
@click.option("-f", "--follow", is_flag=True, help="Go on until it ends.")
@click.option("-n", "--tail", metavar="NUMBER", default="all", help="Only the last so many lines.")
@click.option("--since", metavar="TIME", help="Only what is of a time or later: 10m, RFC 3339.")
@click.option("--until", metavar="TIME", help="Only what is of a time or earlier.")
@click.option("-t", "--timestamps", is_flag=True, help="Show times.")
@table_or_json
@click.pass_context
def logs(
    ctx: click.Context,
    name: str,
    follow: bool,
    tail: str,
    since: str | None,
    until: str | None,
    timestamps: bool,
    output_format: str,
) -> None:
    """Show what a container's command has written."""
    import json

    container = Container.get(name, host=current_host(ctx))
    wanted = _tail(tail)
    before = sys.stdout.buffer
    for record in container.logs(tail=wanted, follow=follow, since=since, until=until):
        out = sys.stdout.buffer if record.stream == "stdout" else sys.stderr.buffer
        if output_format == "json":
            text = record.data.decode(errors="replace")
            line = {"time": record.time, "stream": record.stream, "log": text}
            out, shown = sys.stdout.buffer, json.dumps(line).encode() + b"\n"
        else:
            shown = (f"{record.time} ".encode() if timestamps else b"") + record.data
        if out is not before:
            # Both may be one terminal, on which they are to be in their order.
            before.flush()
            before = out
        out.write(shown)
        if follow:
            out.flush()
    before.flush()


def _tail(text: str) -> int | None:
    """Docker's word for how many lines: ``all``, as anything below 0."""
    if text == "all" or re.fullmatch(r"-[0-9]{1,18}", text):
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Invalid(f"--tail: {text!r} must be a number of lines, or all", field="--tail")
    return int(text)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@click.option(
    "-t",
    "--time",
    "--timeout",
    "timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    default=10.0,
    show_default=True,
    help="How long to wait between SIGTERM and SIGKILL.",
)
@click.pass_context
def stop(ctx: click.Context, names: tuple[str, ...], timeout: float) -> None:
    """End containers: SIGTERM, and SIGKILL after a while (10 seconds)."""
    host = current_host(ctx)
    for_each(ctx, names, lambda name: Container.get(name, host=host).stop(timeout))


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@click.option("-f", "--force", is_flag=True, help="End those that run; missing ones are no error.")
@click.pass_context
def rm(ctx: click.Context, names: tuple[str, ...], force: bool) -> None:
    """Remove containers."""
    host = current_host(ctx)

    def remove(name: str) -> None:
        try:
            Container.get(name, host=host).remove(force=force)
        except NotFound:
            if not force:
                raise

    for_each(ctx, names, remove)
