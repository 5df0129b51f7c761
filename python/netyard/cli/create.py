"""``netyard create``: everything of ``run`` but the running."""

from __future__ import annotations

from typing import Any

import click

from netyard.api.container import Container
from netyard.cli.context import current_host
from netyard.cli.run import PASS_THROUGH, container_options, settings_of


@click.command(context_settings=PASS_THROUGH)
@container_options
@click.pass_context
def create(ctx: click.Context, /, command: tuple[str, ...], **given: Any) -> None:
    """Create a container without starting it, and print its id."""
    made = Container.create(*command, host=current_host(ctx), **settings_of(given))
    click.echo(made.id)
