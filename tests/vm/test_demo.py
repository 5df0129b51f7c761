"""The demonstration on a kernel that has everything."""

from __future__ import annotations

import subprocess
import sys


def test_demo_shows_ipvlan_and_vlans_too() -> None:
    """``demo l2``, with what is left out elsewhere."""
    command = [sys.executable, "-m", "netyard", "demo", "l2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 of 14 as they should be" in done.stdout
