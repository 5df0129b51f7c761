"""``netyard network …``."""

from __future__ import annotations

import sys
from typing import Any

import click

from netyard.api.network import Network
from netyard.cli.context import current_host
from netyard.cli.each import for_each, inspect_format_option, show_each
from netyard.cli.report import note, warn
from netyard.cli.table import format_labels, format_option, label_method, show
from netyard.errors import Invalid, NotFound
from netyard.values.ids import short
from netyard.values.parse import parse_bool, parse_pairs


@click.group()
def network() -> None:
    """Create, show, join and remove networks."""


class _WithBooleans(click.Command):
    """Docker's booleans: ``--ipv6`` alone means true, a value only ever follows ``=``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give bare booleans their value before click would take the next word for it."""
        bare = {"--ipv4", "--ipv6"}
        return super().parse_args(ctx, [f"{word}=true" if word in bare else word for word in args])


class _DriverOption(click.Option):
    """Names the drivers there are when it is asked: to look through all packages takes a while."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The line of ``--help``."""
        from netyard.drivers.registry import creatable_names

        self.help = f"Network driver: {', '.join(creatable_names())}."
        return super().get_help_record(ctx)


def _parse_auxiliary(words: tuple[str, ...]) -> dict[str, str]:
    field = "--aux-address"
    for word in words:
        if word.endswith("="):
            raise Invalid(f"{field}: {word!r} must be NAME=ADDRESS", field=field, value=word)
    return parse_pairs(field, words)


@network.command(cls=_WithBooleans)
@click.argument("name")
@click.option(
    *("-d", "--driver"),
    cls=_DriverOption,
    default="bridge",
    show_default=True,
    help="Network driver: bridge, ipvlan, macvlan, overlay, or one of an installed package.",
)
@click.option("--subnet", multiple=True, metavar="CIDR", help="Subnet; several on macvlan, ipvlan.")
@click.option("--gateway", multiple=True, metavar="IP", help="Gateway of a subnet.")
@click.option("--ip-range", multiple=True, metavar="CIDR", help="Where dynamic addresses are from.")
@click.option("--aux-address", multiple=True, metavar="NAME=IP", help="Address of something else.")
@click.option("--ipv4", metavar="[=BOOL]", help="Have IPv4, as by default; not with --ipv4=false.")
@click.option("--ipv6", metavar="[=BOOL]", help="Have IPv6; true if no value is given.")
@click.option("--internal", is_flag=True, help="No way out, none in.")
@click.option("--attachable", is_flag=True, help="Kept and shown; every network is.")
@click.option("-o", "--opt", multiple=True, metavar="KEY=VALUE", help="Driver option.")
@click.option("--label", multiple=True, metavar="KEY[=VALUE]", help="Metadata.")
@click.option("--ipam-driver", default="default", show_default=True, help="default, null or dhcp.")
@click.option("--ipam-opt", multiple=True, metavar="KEY=VALUE", help="IPAM driver option.")
@click.option("--scope", default="", metavar="SCOPE", help="local; global for overlay.")
@click.option("--ingress", is_flag=True, help="Refused: there is no swarm.")
@click.option("--config-only", is_flag=True, help="Only keep the settings under the name.")
@click.option("--config-from", default="", metavar="NETWORK", help="Take kept settings.")
@click.pass_context
def create(
    ctx: click.Context,
    name: str,
    driver: str,
    subnet: tuple[str, ...],
    gateway: tuple[str, ...],
    ip_range: tuple[str, ...],
    aux_address: tuple[str, ...],
    ipv4: str | None,
    ipv6: str | None,
    internal: bool,
    attachable: bool,
    opt: tuple[str, ...],
    label: tuple[str, ...],
    ipam_driver: str,
    ipam_opt: tuple[str, ...],
    scope: str,
    ingress: bool,
    config_only: bool,
    config_from: str,
) -> None:
    """Create a network and print its id."""
    options = parse_pairs("--opt", opt, bare="true")
    made = Network.create(
        name,
        driver=driver,
        subnet=subnet,
        gateway=gateway,
        ip_range=ip_range,
        aux_addresses=_parse_auxiliary(aux_address),
        ipv4=None if ipv4 is None else parse_bool("--ipv4", ipv4),
        ipv6=None if ipv6 is None else parse_bool("--ipv6", ipv6),
        internal=internal,
        attachable=attachable,
        ingress=ingress,
        scope=scope,
        options=options,
        labels=parse_pairs("--label", label, bare=""),
        ipam_driver=ipam_driver,
        ipam_options=parse_pairs("--ipam-opt", ipam_opt),
        config_only=config_only,
        config_from=config_from,
        host=current_host(ctx),
    )
    if made.parent and "parent" not in options and not internal:
        note(_chosen_parent(made))
    if subnet or opt or made.parent or made.record.spans_hosts:
        for sentence in made.warnings():
            warn(sentence)
    click.echo(made.id)


def _chosen_parent(made: Network) -> str:
    if made.record.is_internal:
        return f"there is no default route to find a parent interface by: {made.name!r} is internal"
    return f"the parent interface of {made.name!r} is {made.parent}"


@network.command()
@format_option
@click.option("-q", "--quiet", is_flag=True, help="Only ids.")
@click.option("--no-trunc", is_flag=True, help="Full ids.")
@click.option(
    *("-f", "--filter"),
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only what fits. Keys: id, name, driver, scope, label, type, dangling.",
)
@click.pass_context
def ls(
    ctx: click.Context,
    output_format: str,
    quiet: bool,
    no_trunc: bool,
    filters: tuple[str, ...],
) -> None:
    """List networks."""
    rows = []
    for each in Network.list(filters=filters, host=current_host(ctx)):
        shown = each.id if no_trunc else short(each.id)
        if quiet:
            click.echo(shown)
            continue
        record = each.record
        rows.append(
            {
                "ID": shown,
                "Name": each.name,
                "Driver": record.shown_driver,
                "Scope": record.scope,
                "IPv4": str(record.has_ipv4).lower(),
                "IPv6": str(record.has_ipv6).lower(),
                "Internal": str(record.is_internal).lower(),
                "Labels": format_labels(record.labels),
                "CreatedAt": record.created,
            }
        )
    if not quiet:
        columns = {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE"}
        show(columns, rows, output_format, methods=label_method)


network.add_command(ls, "list")


@network.command()
@click.argument("names", nargs=-1, required=True, metavar="NETWORK...")
@inspect_format_option
@click.option("-v", "--verbose", is_flag=True, help="Containers of other hosts, too.")
@click.pass_context
def inspect(
    ctx: click.Context, names: tuple[str, ...], template: str | None, verbose: bool
) -> None:
    """Show networks in full, as JSON."""
    host = current_host(ctx)

    def described(name: str) -> dict[str, Any]:
        return Network.get(name, host=host).inspect(verbose=verbose)

    show_each(ctx, names, described, template)


@network.command()
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only what fits. Keys: until, label, label!.",
)
@click.pass_context
def prune(ctx: click.Context, force: bool, filters: tuple[str, ...]) -> None:
    """Remove every network that no container is on."""
    from netyard.lifecycle.listing import prune_networks

    if not force:
        click.echo("This removes all networks no container is on. Go on? [y/N] ", nl=False)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            return
    removed = prune_networks(current_host(ctx), filters)
    if removed:
        click.echo("Deleted Networks:\n" + "\n".join(removed))


@network.command()
@click.argument("names", nargs=-1, required=True, metavar="NETWORK...")
@click.option("-f", "--force", is_flag=True, help="No error if there is none or its driver fails.")
@click.pass_context
def rm(ctx: click.Context, names: tuple[str, ...], force: bool) -> None:
    """Remove networks."""
    host = current_host(ctx)

    def remove(name: str) -> None:
        try:
            Network.get(name, host=host).remove(force=force)
        except NotFound:
            if not force:
                raise

    for_each(ctx, names, remove)


network.add_command(rm, "remove")


@network.command()
@click.argument("network_name", metavar="NETWORK")
@click.argument("container")
@click.option("--ip", metavar="IP", help="IPv4 address.")
@click.option("--ip6", metavar="IP", help="IPv6 address.")
@click.option("--alias", multiple=True, help="Further name on this network.")
@click.option("--mac-address", metavar="MAC", help="MAC address.")
@click.option("--link-local-ip", multiple=True, metavar="IP", help="Further address on the link.")
@click.option("--link", multiple=True, metavar="CONTAINER[:ALIAS]", help="Private name.")
@click.option("--driver-opt", multiple=True, metavar="KEY=VALUE", help="Option of the endpoint.")
@click.option("--gw-priority", default="0", metavar="N", help="The highest has the default route.")
@click.pass_context
def connect(
    ctx: click.Context,
    network_name: str,
    container: str,
    ip: str | None,
    ip6: str | None,
    alias: tuple[str, ...],
    mac_address: str | None,
    link_local_ip: tuple[str, ...],
    link: tuple[str, ...],
    driver_opt: tuple[str, ...],
    gw_priority: str,
) -> None:
    """Give a container an interface on a network."""
    # Loaded here, because other commands about networks do without containers.
    from netyard.api.container import Container
    from netyard.cli.unpublished import warn_unpublished
    from netyard.lifecycle.validate import parse_priority

    host = current_host(ctx)
    joined = Network.get(network_name, host=host)
    joined.connect(
        container,
        ip=ip or None,
        ip6=ip6 or None,
        aliases=alias,
        mac_address=mac_address or None,
        link_local_ips=link_local_ip,
        links=link,
        driver_opts=parse_pairs("--driver-opt", driver_opt),
        gw_priority=parse_priority("--gw-priority", gw_priority),
    )
    warn_unpublished(Container.get(container, host=host))


@network.command()
@click.argument("network_name", metavar="NETWORK")
@click.argument("container")
@click.option("-f", "--force", is_flag=True, help="Not being connected is no error.")
@click.pass_context
def disconnect(ctx: click.Context, network_name: str, container: str, force: bool) -> None:
    """Take a container's interface on a network away."""
    Network.get(network_name, host=current_host(ctx)).disconnect(container, force=force)
