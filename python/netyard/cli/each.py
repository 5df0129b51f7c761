"""Commands that take several names: each is tried, each failure reported (contract NR1)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import click

from netyard.cli.report import report
from netyard.cli.table import show_json
from netyard.errors import NetyardError
from netyard.values.printable import printable_json


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


inspect_format_option = click.option(
    "-f", "--format", "template", metavar="FORMAT", help="json, or a Go template for each."
)


def show_each(
    ctx: click.Context,
    names: Iterable[str],
    find: Callable[[str], dict[str, Any]],
    template: str | None,
) -> None:
    """Print what is found as one JSON array, report what is not; exit 1 then (contract NI1).

    Args:
        template: A Go template, or ``json`` for one object a line, instead.
    """
    render = _renderer(template)
    found, failed = [], False
    for name in names:
        try:
            found.append(find(name))
        except NetyardError as error:
            report(error)
            failed = True
    if render is None:
        show_json(found)
    else:
        for each in found:
            click.echo(render(each))
    if failed:
        ctx.exit(1)


def _renderer(template: str | None) -> Callable[[Any], str] | None:
    if template is None:
        return None
    if template == "json":
        return lambda value: printable_json(json.dumps(value, ensure_ascii=False))
    from netyard.cli.template import compile_template, unescape

    return compile_template(unescape(template))
