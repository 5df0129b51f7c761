"""``netyard version``."""

from __future__ import annotations

import json

import click

from netyard.cli.formats import table_or_json


@click.command()
@table_or_json
def version(output_format: str) -> None:
    """Show the version of netyard, Python and the kernel."""
    import os
    import platform

    import netyard._core as _core

    found = {
        "netyard": _core.__version__,
        "build": _core.build_profile,
        "python": platform.python_version(),
        "kernel": os.uname().release,
    }
    if output_format == "json":
        click.echo(json.dumps(found))
        return
    for key, value in found.items():
        click.echo(f"{key:8} {value}")
