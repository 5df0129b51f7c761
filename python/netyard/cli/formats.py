"""The option of commands that print for people or for programs, and take no template."""

from __future__ import annotations

import click

table_or_json = click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people, or for programs.",
)
