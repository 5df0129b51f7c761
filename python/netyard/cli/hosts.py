"""``netyard host``: this host in a cluster."""

from __future__ import annotations

from typing import Any

import click

from netyard.api.cluster import Member, Members
from netyard.api.host import Host
from netyard.cli.context import current_host
from netyard.cli.table import format_option, show, show_json
from netyard.errors import Invalid
from netyard.state import config
from netyard.state.cluster_settings import with_environment, with_host_name
from netyard.values.membership import KEY, LEASE_SECONDS, Membership, parse


@click.group()
def host() -> None:
    """Join hosts to a cluster, for networks that span them."""


@host.command()
@click.option("--etcd", metavar="URL[,URL]", help="Where the cluster's etcd is (NETYARD_ETCD).")
@click.option(
    "--advertise", metavar="ADDR", help="This host's address for the others (NETYARD_ADVERTISE)."
)
@click.option("--name", metavar="NAME", help="Its name among them; its host name by default.")
@click.option(
    "--ca", metavar="FILE", help="Certificate of the authority that signs etcd's certificates."
)
@click.option("--cert", metavar="FILE", help="This host's certificate for etcd.")
@click.option("--key", metavar="FILE", help="The key of that.")
@click.option(
    "--lease",
    metavar="SECONDS",
    help=f"How long it may be silent before its addresses are free; {LEASE_SECONDS} by default.",
)
@click.pass_context
def join(ctx: click.Context, /, **given: str | None) -> None:
    """Share networks with the other hosts of a cluster."""
    current = current_host(ctx)
    member = Members(current).join_as(_wanted(current, given))
    click.echo(member.id)


def _wanted(current: Host, given: dict[str, Any]) -> Membership:
    """What the flags say, then the environment, then the config file."""
    settings = config.read_settings(current.layout.root).get(KEY, {})
    if not isinstance(settings, dict):
        raise Invalid(f"config: {KEY}: must be an object", field=KEY)
    flags = {name: value for name, value in given.items() if value}
    found = {**with_environment(settings), **flags}
    for flag in ("etcd", "advertise"):
        if not found.get(flag):
            raise Invalid(f"--{flag}: is needed to join a cluster", field=f"--{flag}")
    return parse(KEY, with_host_name(found))


@host.command()
@click.pass_context
def leave(ctx: click.Context) -> None:
    """Leave the cluster."""
    Members(current_host(ctx)).leave()


@host.command("rotate-key")
@click.pass_context
def rotate_key(ctx: click.Context) -> None:
    """Have a new key for encrypted networks; connections go on."""
    Members(current_host(ctx)).rotate_key()


@host.command("ls")
@format_option
@click.pass_context
def list_hosts(ctx: click.Context, output_format: str) -> None:
    """List the hosts of the cluster that are there."""
    rows = [_row(each) for each in Members(current_host(ctx)).list()]
    show(
        {"ID": "HOST ID", "Name": "NAME", "Address": "ADDRESS", "Self": "SELF"}, rows, output_format
    )


def _row(member: Member) -> dict[str, str]:
    return {
        "ID": member.id[:12],
        "Name": member.name,
        "Address": member.address,
        "Self": "*" if member.is_self else "",
    }


@host.command()
@click.argument("names", nargs=-1)
@click.pass_context
def inspect(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Show hosts of the cluster, this one by default, as JSON."""
    current = current_host(ctx)
    members = Members(current)
    wanted = names or tuple(each.name for each in members.list() if each.is_self)
    show_json([_described(current, members.get(name)) for name in wanted])


def _described(current: Host, member: Member) -> dict[str, Any]:
    found: dict[str, Any] = {"Id": member.id, "Name": member.name, "Address": member.address}
    own = config.load(current.layout.root).cluster
    if member.is_self and own is not None:
        found["Etcd"] = list(own.access.etcd)
        found["LeaseSeconds"] = own.lease_seconds
    return found
