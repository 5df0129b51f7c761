"""``netyard port``: published ports shown, added and taken back."""

from __future__ import annotations

import json

import click

from netyard.api.container import Container
from netyard.cli.context import current_host
from netyard.cli.formats import table_or_json
from netyard.errors import NotFound
from netyard.values.ports import parse_query


class _PortGroup(click.Group):
    """``port CONTAINER`` shows; a container cannot be reached as ``add`` or ``rm`` here."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take a word that is no subcommand for a container."""
        if args and args[0] not in self.commands:
            return "show", self.commands["show"], args
        return super().resolve_command(ctx, args)


@click.group(cls=_PortGroup)
def port() -> None:
    """Show published ports (port CONTAINER is port show CONTAINER), add some, take some back."""


@port.command()
@click.argument("name", metavar="CONTAINER")
@click.argument("wanted", required=False, metavar="[PORT[/PROTOCOL]]")
@table_or_json
@click.pass_context
def show(ctx: click.Context, name: str, wanted: str | None, output_format: str) -> None:
    """Show the published ports of a container."""
    found = Container.get(name, host=current_host(ctx)).ports()
    if wanted is not None:
        number, protocol = parse_query(wanted)
        found = [pair for pair in found if pair[0] == f"{number}/{protocol}"]
        if not found:
            raise NotFound(f"no host port is published for {number}/{protocol} of {name!r}")
    for inside, outside in found:
        if output_format == "json":
            click.echo(json.dumps({"Container": inside, "Host": outside}))
        else:
            click.echo(outside if wanted is not None else f"{inside} -> {outside}")


@port.command()
@click.argument("name", metavar="CONTAINER")
@click.argument("wanted", nargs=-1, required=True, metavar="[IP:][HOST:]PORT[/PROTOCOL]...")
@click.pass_context
def add(ctx: click.Context, name: str, wanted: tuple[str, ...]) -> None:
    """Publish further ports of a container, running or not."""
    for inside, outside in Container.get(name, host=current_host(ctx)).add_ports(*wanted):
        click.echo(f"{inside} -> {outside}")


@port.command()
@click.argument("name", metavar="CONTAINER")
@click.argument("wanted", nargs=-1, required=True, metavar="[IP:][HOST:]PORT[/PROTOCOL]...")
@click.pass_context
def rm(ctx: click.Context, name: str, wanted: tuple[str, ...]) -> None:
    """Take published ports of a container back."""
    Container.get(name, host=current_host(ctx)).remove_ports(*wanted)
