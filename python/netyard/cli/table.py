"""Tables for people, JSON lines for programs, templates for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from netyard.errors import Invalid
from netyard.values.printable import printable, printable_json

_GAP = 3
Row = Mapping[str, str]

format_option = click.option(
    "--format",
    "output_format",
    default="table",
    show_default=True,
    metavar="FORMAT",
    help="table, json, a Go template, or 'table TEMPLATE'.",
)


def show(
    columns: Mapping[str, str],
    rows: Sequence[Row],
    output_format: str,
    *,
    methods: Callable[[Row], Mapping[str, Any]] = lambda _: {},
) -> None:
    """Print rows.

    Args:
        columns: Headings by key, in order.
        rows: Values by key; JSON and templates see all of them, the table those with a heading.
        methods: What a template may further ask of a row, such as ``.Label "key"``.
    """
    if output_format == "json":
        for row in rows:
            click.echo(json.dumps(row))
        return
    kind, _, template = output_format.partition(" ")
    if kind == "table":
        _show_table(columns, rows, template.strip(), methods)
        return
    if "{{" not in output_format:
        raise Invalid(
            f"--format: {output_format!r} is not table, json or a Go template",
            field="--format",
            value=output_format,
        )
    for line in _rendered(output_format, rows, methods):
        click.echo(line)


def _rendered(
    template: str, rows: Sequence[Row], methods: Callable[[Row], Mapping[str, Any]]
) -> list[str]:
    from netyard.cli.template import compile_template, unescape

    render = compile_template(unescape(template))
    return [render({**row, **methods(row)}) for row in rows]


def _show_table(
    columns: Mapping[str, str],
    rows: Sequence[Row],
    template: str,
    methods: Callable[[Row], Mapping[str, Any]],
) -> None:
    rows = [{key: printable(value) for key, value in row.items()} for row in rows]
    if template:
        from netyard.cli.template import fields_of, unescape

        headings = [columns.get(name, name.upper()) for name in fields_of(template)]
        cells = [line.split("\t") for line in _rendered(template, rows, methods)]
        between = unescape(template).count("\t") + 1
        _align([headings if len(headings) == between else headings[:between], *cells])
        return
    _align([list(columns.values()), *([row[key] for key in columns] for row in rows)])


def _align(lines: Sequence[Sequence[str]]) -> None:
    count = max(len(line) for line in lines)
    widths = [max(len(line[at]) for line in lines if len(line) > at) for at in range(count)]
    for line in lines:
        cells = (cell.ljust(width + _GAP) for cell, width in zip(line, widths, strict=False))
        click.echo("".join(cells).rstrip())


def format_labels(labels: Mapping[str, str]) -> str:
    """Labels as one field of a row."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


def label_method(row: Row) -> Mapping[str, Any]:
    """``.Label "key"`` of a row with a field ``Labels``."""
    pairs = dict(word.partition("=")[::2] for word in row["Labels"].split(",") if word)
    return {"Label": lambda key: pairs.get(key, "")}


def show_json(value: object) -> None:
    """Print one value as Docker prints it."""
    click.echo(printable_json(json.dumps(value, indent=4, ensure_ascii=False)))


def show_report(report: Mapping[str, Sequence[str]], output_format: str) -> None:
    """Print what was done, a line each."""
    if output_format == "json":
        click.echo(json.dumps({key: list(lines) for key, lines in report.items()}))
        return
    for key, lines in report.items():
        for line in lines:
            click.echo(f"{key}: {printable(line)}")


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
