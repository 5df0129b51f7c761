"""One warning: ports were asked for and no network of the container can publish them (PB12)."""

from __future__ import annotations

from netyard.api.container import Container
from netyard.cli.report import warn


def warn_unpublished(container: Container) -> None:
    """Print it, if it is so."""
    reason = container.unpublished()
    if reason:
        warn(reason)
