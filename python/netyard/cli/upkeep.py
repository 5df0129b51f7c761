"""``netyard reload`` and ``repair``."""

from __future__ import annotations

from dataclasses import asdict

import click

from netyard import reconcile
from netyard.cli.context import current_host
from netyard.cli.table import format_option, show_report


@click.command()
@format_option
@click.pass_context
def reload(ctx: click.Context, output_format: str) -> None:
    """Make every rule, bridge and interface again that should be there."""
    report = reconcile.reload(current_host(ctx))
    show_report(asdict(report), output_format)
    if report.lost:
        ctx.exit(1)


@click.command()
@format_option
@click.pass_context
def repair(ctx: click.Context, output_format: str) -> None:
    """Undo what was interrupted and take left-overs away."""
    show_report(asdict(reconcile.repair(current_host(ctx))), output_format)
