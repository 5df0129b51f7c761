"""Tables for people, JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import click

_GAP = 3

format_option = click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A table for people, or one JSON object a line.",
)


def show(columns: Mapping[str, str], rows: Sequence[Mapping[str, str]], output_format: str) -> None:
    """Print rows.

    Args:
        columns: Headings by key, in order.
        rows: Values by key; JSON shows all of them, the table those with a heading.
    """
    if output_format == "json":
        for row in rows:
            click.echo(json.dumps(row))
        return
    lines = [list(columns.values()), *([row[key] for key in columns] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        cells = (cell.ljust(width + _GAP) for cell, width in zip(line, widths, strict=True))
        click.echo("".join(cells).rstrip())


def show_json(value: object) -> None:
    """Print one value as Docker prints it."""
    click.echo(json.dumps(value, indent=4, ensure_ascii=False))


def show_report(report: Mapping[str, Sequence[str]], output_format: str) -> None:
    """Print what was done, a line each."""
    if output_format == "json":
        click.echo(json.dumps({key: list(lines) for key, lines in report.items()}))
        return
    for key, lines in report.items():
        for line in lines:
            click.echo(f"{key}: {line}")


def ago(then: str) -> str:
    """How long ago a time of the store was, in Docker's words."""
    from datetime import datetime, timezone

    moment = datetime.fromisoformat(then[:26].rstrip("Z") + "+00:00")
    seconds = int((datetime.now(timezone.utc) - moment).total_seconds())
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {word}{'s' * (count != 1)}"
    return "Less than a second"
