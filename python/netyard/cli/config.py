"""``netyard config``: the settings of a root."""

from __future__ import annotations

import click

from netyard.api.host import Host
from netyard.cli.context import current_host
from netyard.cli.table import show_json
from netyard.errors import Invalid
from netyard.networks import builtin
from netyard.state import config as configuration
from netyard.state.json_file import parse


@click.group(invoke_without_command=True)
@click.pass_context
def config(ctx: click.Context) -> None:
    """Show the settings of this root, or change them."""
    if ctx.invoked_subcommand is None:
        show_json(configuration.read_settings(current_host(ctx).layout.root))


@config.command("set")
@click.argument("key")
@click.argument("value")
@click.pass_context
def set_one(ctx: click.Context, key: str, value: str) -> None:
    """Set KEY, named as in Docker's daemon.json, to VALUE, JSON or plain text."""
    host = current_host(ctx)
    try:
        found = parse(value)
    except ValueError as error:
        if value.lstrip().startswith(("[", "{", '"')):
            raise Invalid(f"config: {key}: {value!r} is no JSON: {error}", field=key) from error
        found = value
    settings = configuration.read_settings(host.layout.root)
    _replace(host, settings, {**settings, key: found})


@config.command("unset")
@click.argument("key")
@click.pass_context
def unset(ctx: click.Context, key: str) -> None:
    """Go back to the default for KEY."""
    host = current_host(ctx)
    settings = configuration.read_settings(host.layout.root)
    if key not in settings:
        raise Invalid(f"config: {key!r} is not set", field=key)
    _replace(host, settings, {name: each for name, each in settings.items() if name != key})


def _replace(host: Host, before: dict[str, object], after: dict[str, object]) -> None:
    root = host.layout.root
    configuration.write_settings(root, after)
    try:
        builtin.plan_default_again(host)
    except Exception:
        configuration.write_settings(root, before)
        raise
