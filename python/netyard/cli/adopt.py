"""``netyard adopt`` and ``abandon``: namespaces that another program made."""

from __future__ import annotations

import click

from netyard.api.container import Container
from netyard.cli.context import current_host
from netyard.cli.each import for_each
from netyard.cli.unpublished import warn_unpublished


@click.command()
@click.argument("name")
@click.option("--pid", type=click.IntRange(min=1), help="A process in the namespace.")
@click.option("--netns", metavar="PATH", help="Path of the namespace, as /run/netns/NAME.")
@click.option("--network", "--net", multiple=True, help="Network to join.")
@click.option("--ip", metavar="IP", help="IPv4 address on the first network.")
@click.option("--ip6", metavar="IP", help="IPv6 address on the first network.")
@click.option("--mac-address", metavar="MAC", help="MAC address on the first network.")
@click.option("--network-alias", multiple=True, help="Further name.")
@click.option("-p", "--publish", multiple=True, metavar="[IP:][HOST:]PORT", help="Publish a port.")
@click.pass_context
def adopt(
    ctx: click.Context,
    name: str,
    pid: int | None,
    netns: str | None,
    network: tuple[str, ...],
    ip: str | None,
    ip6: str | None,
    mac_address: str | None,
    network_alias: tuple[str, ...],
    publish: tuple[str, ...],
) -> None:
    """Put an existing network namespace on networks, and print its new id."""
    adopted = Container.adopt(
        name,
        pid=pid,
        netns=netns,
        network=network,
        ip=ip or None,
        ip6=ip6 or None,
        mac_address=mac_address or None,
        aliases=network_alias,
        publish=publish,
        host=current_host(ctx),
    )
    warn_unpublished(adopted)
    click.echo(adopted.id)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@click.pass_context
def abandon(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Give adopted namespaces back as they were."""
    host = current_host(ctx)
    for_each(ctx, names, lambda name: Container.get(name, host=host).abandon())
