"""A hook of the site's builder: a folder in the navigation stands for the pages in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_config(config: Any) -> None:
    """Put its pages in the place of each folder, the index first."""
    config["nav"] = _with_pages(config["nav"], Path(config["docs_dir"]))


def _with_pages(entry: Any, source: Path) -> Any:
    if isinstance(entry, list):
        return [_with_pages(each, source) for each in entry]
    if isinstance(entry, dict):
        return {title: _with_pages(each, source) for title, each in entry.items()}
    if not entry.endswith("/"):
        return entry
    pages = sorted((source / entry).glob("*.md"), key=lambda path: (path.stem != "README", path))
    return [f"{entry}{path.name}" for path in pages]
