"""Commands about the lives of containers: rename, wait, kill, top, events."""

from __future__ import annotations

import json
import signal

import click

from netyard.api.container import Container
from netyard.api.host import Host
from netyard.cli.context import current_host
from netyard.cli.each import for_each
from netyard.errors import Invalid
from netyard.state import events as event_log
from netyard.values.filters import Filters, Test, parse_moment


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
    number = _signal_number(wanted)
    host = current_host(ctx)
    for_each(ctx, names, lambda name: Container.get(name, host=host).kill(number))


def _signal_number(text: str) -> int:
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    if text.isascii() and text.isdigit() and 1 <= int(text) < signal.NSIG:
        return int(text)
    if name in signal.Signals.__members__:
        return int(signal.Signals[name])
    raise Invalid(f"--signal: {text!r} is no signal such as TERM or 15", field="--signal")


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
@click.option("--since", metavar="TIME", help="Begin with what is so old.")
@click.option("--until", metavar="TIME", help="End at a time.")
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Only these.")
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

    host: Host = current_host(ctx)
    tests: dict[str, Test[dict[str, object]]] = {
        "type": lambda event, value: event["Type"] == value,
        "event": lambda event, value: event["Action"] == value,
        "container": _concerns_container,
        "network": lambda event, value: event["Type"] == "network" and _is_actor(event, value),
    }
    wanted = Filters(filters, tests)
    render = None if output_format == "json" else compile_template(unescape(output_format))
    stream = event_log.follow(
        host.store,
        since_ns=parse_moment("--since", since) if since else None,
        until_ns=parse_moment("--until", until) if until else None,
    )
    for event in stream:
        if wanted.match(event):
            # A pipe's reader wants each line when it happens.
            print(render(event) if render else json.dumps(event), flush=True)


def _actor(event: dict[str, object]) -> tuple[str, dict[str, str]]:
    actor = event["Actor"]
    assert isinstance(actor, dict)
    return actor["ID"], actor["Attributes"]


def _is_actor(event: dict[str, object], value: str) -> bool:
    actor, attributes = _actor(event)
    return value == attributes.get("name") or (bool(value) and actor.startswith(value))


def _concerns_container(event: dict[str, object], value: str) -> bool:
    if event["Type"] == "container":
        return _is_actor(event, value)
    return bool(value) and _actor(event)[1].get("container", "").startswith(value)
