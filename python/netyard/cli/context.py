"""The host a command works on."""

from __future__ import annotations

import click

from netyard.api.host import Host


def current_host(ctx: click.Context) -> Host:
    """The host of ``--root``, opened once a command and closed at its end."""
    settings = ctx.find_root()
    if "host" not in settings.obj:
        settings.obj["host"] = Host(root=settings.obj["root"])
        settings.call_on_close(settings.obj["host"].close)
    host: Host = settings.obj["host"]
    return host
