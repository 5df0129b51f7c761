"""``netyard doctor``."""

from __future__ import annotations

import json

import click

from netyard.cli.context import current_host


@click.command()
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people, or for programs.",
)
@click.pass_context
def doctor(ctx: click.Context, output_format: str) -> None:
    """Say what on this host is in the way of networks, and what was done about it."""
    from netyard.diagnose.doctor import examine

    for finding in examine(current_host(ctx)):
        if output_format == "json":
            click.echo(json.dumps(finding._asdict()))
        else:
            click.echo(f"{finding.level:8} {finding.text}")
