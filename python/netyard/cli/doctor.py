"""``netyard doctor``."""

from __future__ import annotations

import json

import click

from netyard.cli.context import current_host
from netyard.cli.formats import table_or_json


@click.command()
@table_or_json
@click.pass_context
def doctor(ctx: click.Context, output_format: str) -> None:
    """Show what on this host keeps networks from working, and what was done about it."""
    from netyard.diagnose.doctor import examine

    for finding in examine(current_host(ctx)):
        if output_format == "json":
            click.echo(json.dumps(finding._asdict()))
        else:
            click.echo(f"{finding.level:8} {finding.text}")
