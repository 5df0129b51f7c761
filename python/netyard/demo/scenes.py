"""The demonstrations by name; each is imported when it is asked for."""

from __future__ import annotations

from netyard.demo.stage import Play

NAMES = ("bridge", "l2", "overlay")


def scene(name: str) -> Play:
    """The demonstration of a name."""
    if name == "l2":
        from netyard.demo import l2

        return l2.play
    if name == "overlay":
        from netyard.demo import overlay

        return overlay.play
    from netyard.demo import bridges

    return bridges.play
