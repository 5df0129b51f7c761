"""Commands about the lives of containers: rename, wait, kill, top, events."""

from __future__ import annotations

import json

import click

from netyard.api.container import Container
from netyard.cli.context import current_host
from netyard.cli.each import for_each
from netyard.runtime.process import signal_number


@click.command()
@click.argument("name", metavar="CONTAINER")
@click.argument("new_name")
@click.pass_context
def rename(ctx: click.Context, name: str, new_name: str) -> None:
    """Give a container another name; it is resolved by it at once."""
    Container.get(name, host=current_host(ctx)).rename(new_name)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@click.pass_context
def wait(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Wait until containers end, and print their exit statuses."""
    host = current_host(ctx)
    containers = [Container.get(name, host=host) for name in names]
    for container in containers:
        click.echo(container.wait())


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@click.option("-s", "--signal", "wanted", default="KILL", show_default=True, help="Signal.")
@click.pass_context
def kill(ctx: click.Context, names: tuple[str, ...], wanted: str) -> None:
    """Send a signal to the first process of containers."""
    number = signal_number("--signal", wanted)
    host = current_host(ctx)
    for_each(ctx, names, lambda name: Container.get(name, host=host).kill(number))


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name", metavar="CONTAINER")
@click.pass_context
def top(ctx: click.Context, name: str) -> None:
    """Show the processes of a container, with the host's pids."""
    from netyard.cli.table import show

    rows = Container.get(name, host=current_host(ctx)).processes()
    columns = {"UID": "UID", "PID": "PID", "PPID": "PPID", "TIME": "TIME", "CMD": "CMD"}
    show(columns, rows, "table")


@click.command()
@click.option("--since", metavar="TIME", help="From this time on: 10m (ago), or RFC 3339.")
@click.option("--until", metavar="TIME", help="Up to this time.")
@click.option(
    *("-f", "--filter"),
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only what fits. Keys: type, event, container, network.",
)
@click.option("--format", "output_format", default="json", help="json or a Go template.")
@click.pass_context
def events(
    ctx: click.Context,
    since: str | None,
    until: str | None,
    filters: tuple[str, ...],
    output_format: str,
) -> None:
    """Show what happens to networks and containers, one JSON object a line."""
    from netyard.cli.template import compile_template, unescape
    from netyard.lifecycle.event_stream import follow_events

    render = None if output_format == "json" else compile_template(unescape(output_format))
    host = current_host(ctx)
    for event in follow_events(host, since=since or None, until=until or None, filters=filters):
        # A pipe's reader wants each line when it happens.
        print(render(event) if render else json.dumps(event), flush=True)
