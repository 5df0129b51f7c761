"""Commands killed, and refused by the kernel, on what only Debian's has: ipvlan and 802.1Q.

As in ``tests/lab_hosts/test_crashes.py``, which says of all the others what is tried; fewer points, as
an emulated machine takes half a minute for what takes another one two seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import crashing
import lab as labs
from crashing import BOX, Operation, Rig, kill_at_every_call, refuse_at_every_call

OTHER = ("network", "create", "-d", "ipvlan", "-o", "parent=eth0.60", "other")
ON_VLAN = ("run", "-d", "--name", "box", "--network", "tagged", "sleep", "600")
OPERATIONS = {
    "create vlan": Operation(OTHER),
    "remove vlan": Operation(("network", "rm", "other"), (OTHER,)),
    "run on ipvlan": Operation(ON_VLAN, between=("created",)),
    "rm on ipvlan": Operation(("rm", "-f", "box"), (ON_VLAN,), ("exited", "created")),
    "connect ipvlan": Operation(("network", "connect", "tagged", "box"), (BOX,)),
    "disconnect ipvlan": Operation(
        ("network", "disconnect", "tagged", "box"),
        (BOX, ("network", "connect", "tagged", "box")),
    ),
}


class ParentRig(Rig):
    """A host with a network on a VLAN that was made for it."""

    def furnish(self) -> None:
        """And one on a bridge, to have a container on both."""
        super().furnish()
        self.host.ny("network", "create", "-d", "ipvlan", "-o", "parent=eth0.50", "tagged")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A host of its own: what goes wrong here is not the next test's."""
    with labs.opened() as lab:
        yield ParentRig(lab.host, crashing.compiled(tmp_path), tmp_path / "report")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed(rig: Rig, name: str, moment: str) -> None:
    """CV3, MV1, IV1: the next command finds all or nothing done, and no VLAN is left."""
    kill_at_every_call(rig, name, OPERATIONS[name], moment)


@pytest.mark.parametrize("name", OPERATIONS)
def test_refused(rig: Rig, name: str) -> None:
    """CV3, MV1, IV1: refused by the kernel, it does the same or nothing, and says so."""
    refuse_at_every_call(rig, name, OPERATIONS[name])
