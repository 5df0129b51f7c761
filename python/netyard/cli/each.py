"""Commands that take several names: each is tried, each failure reported (contract NR1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from netyard.cli.report import report
from netyard.errors import NetyardError


def for_each(ctx: click.Context, names: Iterable[str], action: Callable[[str], object]) -> None:
    """Do something for each name and print the names it worked for; exit 1 if any failed."""
    failed = False
    for name in names:
        try:
            action(name)
        except NetyardError as error:
            report(error)
            failed = True
        else:
            click.echo(name)
    if failed:
        ctx.exit(1)
