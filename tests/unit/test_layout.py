"""Names and paths that derive from a root."""

from __future__ import annotations

from pathlib import Path

import pytest

from netyard.state import layout
from netyard.state.layout import Layout


def test_a_root_is_the_same_by_whatever_path(tmp_path: Path) -> None:
    """Else two of its users would have a lock each, and one store."""
    (tmp_path / "root").mkdir()
    (tmp_path / "link").symlink_to("root")
    (tmp_path / "above").symlink_to(".")
    made = Layout.of(tmp_path / "root")
    for path in ("link", "above/root", "above/link", "root/../link/"):
        other = Layout.of(tmp_path / path)
        assert (other.root, other.lock, other.table) == (made.root, made.lock, made.table), path


def test_a_link_in_place_of_the_default_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its names stay the plain ones when an administrator moves it to another disk."""
    (tmp_path / "disk").mkdir()
    default = tmp_path / "netyard"
    default.symlink_to("disk")
    monkeypatch.setattr(layout, "DEFAULT_ROOT", default)
    monkeypatch.delenv("NETYARD_ROOT", raising=False)
    for root in (None, default, tmp_path / "disk"):
        assert Layout.of(root).root == default
        assert (Layout.of(root).table, Layout.of(root).run) == ("netyard", Path("/run/netyard"))
