"""Commands that take several names: each is tried, each failure reported (contract NR1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

from netyard.cli.report import report
from netyard.cli.table import show_json
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


def show_each(
    ctx: click.Context, names: Iterable[str], find: Callable[[str], dict[str, Any]]
) -> None:
    """Print what is found as one JSON array, report what is not; exit 1 then (contract NI1)."""
    found, failed = [], False
    for name in names:
        try:
            found.append(find(name))
        except NetyardError as error:
            report(error)
            failed = True
    show_json(found)
    if failed:
        ctx.exit(1)
