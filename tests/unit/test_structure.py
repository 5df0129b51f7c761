"""The shape of the code: which way imports point, what is public, what a cold start loads."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import house
import netyard
from house import House
from netyard import errors

PACKAGE = Path(netyard.__file__).parent


HOUSE = House(PACKAGE)

# Files and functions that are longer than they should be. This list may only shrink.
TOO_LONG = {
    # Each keyword is there by name, for editors, and explained, for the reference.
    "api.container:create",
    "api.network:create",
}


def test_imports_point_down() -> None:
    """Rule 1: a file imports its own room or a lower one, whatever way it imports."""
    assert not house.arrows_up(HOUSE)


def test_no_circles() -> None:
    """Rule 2: no file imports itself by way of others."""
    assert not house.circles(HOUSE)


def test_top_level_holds_only_faces() -> None:
    """Rule 3: besides ``__init__``, ``__main__``, ``errors`` and ``_core`` there are rooms."""
    assert not house.strangers(HOUSE)
    assert len(house.ROOMS) == len(house.longest_way_down(HOUSE)) == 12


def test_pure_files_are_pure() -> None:
    """Rule 4: values, options and the firewall's rules neither see nor change the machine."""
    assert not house.impurities(HOUSE)


def test_sqlite_and_programs_are_used_in_few_places() -> None:
    """Rule 5: SQL in ``state``; programs are the shim, the agent, demonstrations, other firewalls."""
    assert not house.intruders(HOUSE)


def test_private_names_stay_in_their_room() -> None:
    """Rule 6: no underscored name crosses a room."""
    assert not house.private_names_that_cross(HOUSE)


def test_files_and_functions_are_short() -> None:
    """Rule 7: a file of at most 450 lines, a function of at most 60; exceptions are known."""
    assert set(house.oversized(HOUSE)) == TOO_LONG


def test_loggers_are_named_by_their_room() -> None:
    """Not by their file, which may be renamed: users set levels by these names."""
    found = {
        (house.room_of(name), logger)
        for name, path in HOUSE.files.items()
        for logger in re.findall(r"getLogger\((.*?)\)", path.read_text())
    }
    assert found == {
        (room, f'"netyard.{room}"')
        for room in ("agent", "cluster", "drivers", "firewall", "lifecycle", "state")
    }


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        (house.arrows_up, {"values/ids.py": "def f():\n    from netyard.state import root\n"}),
        (
            house.arrows_up,
            {"ipc/agent.py": "if TYPE_CHECKING:\n    from netyard.api.host import Host\n"},
        ),
        (house.arrows_up, {"drivers/registry.py": "OWN = 'netyard.networks.planning:plan'\n"}),
        (house.arrows_up, {"networks/devices.py": "import netyard.endpoints.plan\n"}),
        (house.arrows_up, {"networks/devices.py": "from netyard import Host\n"}),
        (house.arrows_up, {"networks/devices.py": "import netyard\ndef f(x: netyard.Host): 0\n"}),
        (house.arrows_up, {"api/network.py": "from netyard import Host\n"}),
        (house.arrows_up, {"api/network.py": "import netyard\ndef f(): netyard.Host\n"}),
        (
            house.circles,
            {
                "state/a.py": "from netyard.state import b\n",
                "state/b.py": "def f():\n    from netyard.state.c import g\n",
                "state/c.py": "NAME = 'netyard.state.a'\n",
            },
        ),
        (house.strangers, {"helpers.py": ""}),
        (house.impurities, {"options/bridge.py": "import os.path\n"}),
        (house.impurities, {"firewall/rules.py": "from netyard import _core\n"}),
        (house.impurities, {"values/spec.py": "from netyard.state.store import Store\n"}),
        (house.intruders, {"lifecycle/start.py": "from sqlite3 import connect\n"}),
        (house.intruders, {"networks/devices.py": "def f():\n    import subprocess\n"}),
        (
            house.private_names_that_cross,
            {"ports/apply.py": "from netyard.firewall.table import _bridge_steps\n"},
        ),
        (
            house.private_names_that_cross,
            {"ports/apply.py": "from netyard.firewall import table\ntable._bridge_steps()\n"},
        ),
        (house.oversized, {"state/store.py": "x = 1\n" * 451}),
        (house.oversized, {"state/store.py": "def f():\n" + "    x = 1\n" * 60}),
    ],
)
def test_rules_can_fail(
    tmp_path: Path, rule: Callable[[House], Sequence[str]], files: dict[str, str]
) -> None:
    """Each finds what is planted, and nothing in the same house without it."""
    others = {"state/root.py": "", "endpoints/plan.py": "", "api/host.py": ""}
    others |= {"api/endpoint.py": "import netyard\ndef f(x: netyard.Host) -> netyard.Host: 0\n"}
    others |= {"firewall/table.py": "", "networks/planning.py": "", "state/store.py": ""}
    assert not rule(house.planted(tmp_path / "before", others))
    assert rule(house.planted(tmp_path / "after", others | files))


def test_public_names_are_all_there() -> None:
    """`__all__` and what can be imported agree."""
    for name in netyard.__all__:
        assert getattr(netyard, name) is not None
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.NetyardError)
    }
    assert classes <= set(netyard.__all__)


def _imported_by(*words: str) -> set[str]:
    """Modules in the interpreter when a command ends."""
    code = (
        f"import os, sys; sys.argv={['netyard', *words]!r}\n"
        "from netyard.cli.main import main\n"
        "os._exit = lambda status: print(*sys.modules, file=sys.stderr)\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_cold_start_imports_little() -> None:
    """``netyard version`` does not pay for the model, nor the model for what few hosts have."""
    version, run = _imported_by("version"), _imported_by("run", "--help")
    assert "netyard.cli.main" in version
    assert not version & {"netyard.api.container", "netyard.api.host", "netyard.state", "inspect"}
    assert "platform" not in run
    assert "netyard.api.container" in run
    assert not run & {"netyard.cluster.entries", "netyard.drivers.overlay.plan", "csv"}


def test_click_is_answered_by_the_real_modules() -> None:
    """What stands in for them does what it does as they do, and knows what they know."""
    code = (
        "from netyard.cli.deferred import modules_deferred\n"
        "with modules_deferred():\n"
        "    import inspect, platform\n"
        "    ours = inspect, platform\n"
        "import inspect, platform\n"
        "assert inspect is not ours[0] and platform is not ours[1]\n"
        "for text in ('', ' a ', '\\ta', ' a\\n  b\\n  c ', 'a\\tb'):\n"
        "    assert ours[0].cleandoc(text) == inspect.cleandoc(text), text\n"
        "assert ours[1].system() == platform.system()\n"
        "assert ours[0].signature is inspect.signature\n"
        "assert ours[1].machine is platform.machine\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# What is written of states and of updates, and a typo in each.
STATES = """
from netyard.lifecycle.stop import tear_down
from netyard.options.bridge import mode_of
from netyard.state.records import ContainerRecord, EndpointRecord, NetworkRecord, Publication
from netyard.state.root import Root
from netyard.state.store import Store
from netyard.values.spec import ContainerSpec

def right(root: Root, store: Store, network: NetworkRecord, container: ContainerRecord) -> None:
    network._replace(state="ready")
    store.set_network_state("x", "removing")
    store.set_endpoint_states(["x"], "attaching")
    store.update_container("x", state="exited", exit_code=1, donor_id=None)
    store.update_endpoint("x", state="up", lease=None)
    tear_down(root, container, state="exited", exit_code=1)
    ContainerSpec(mode="host")
    assert network.state == "ready" or container.kind == "run"

def wrong(
    root: Root,
    store: Store,
    network: NetworkRecord,
    container: ContainerRecord,
    endpoint: EndpointRecord,
    port: Publication,
) -> None:
    network._replace(state="raedy")  # wrong
    store.set_network_state("x", "starting")  # wrong
    store.set_endpoint_states(["x"], "ataching")  # wrong
    store.update_container("x", state="running ")  # wrong
    store.update_container("x", exit_status=1)  # wrong
    store.update_container("x", exit_code="1")  # wrong
    store.update_endpoint("x", state="exited")  # wrong
    store.update_endpoint("x", lease="")  # wrong
    tear_down(root, container, state="stopped")  # wrong
    tear_down(root, container, state="exited", status=1)  # wrong
    ContainerSpec(mode="bridge")  # wrong
    ContainerRecord("x", "x", "adoptd", "", "")  # wrong
    endpoint._replace(state="Up")  # wrong
    port._replace(access="open")  # wrong
    if network.state == "running":  # wrong
        pass
    if container.state == "runing":  # wrong
        pass
    if container.kind != "adoptee":  # wrong
        pass
    if endpoint.state == "ready":  # wrong
        pass
    if port.access == "route":  # wrong
        pass
    if mode_of(network.options, 4) == "nat_unprotected":  # wrong
        pass
"""


def test_a_misspelt_state_is_a_type_error(tmp_path: Path) -> None:
    """Every one, and nothing else."""
    (tmp_path / "states.py").write_text(STATES)
    root = Path(__file__).parents[2]
    words = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml"]
    done = subprocess.run(
        [*words, str(tmp_path / "states.py")], cwd=root, capture_output=True, text=True, check=False
    )
    found = re.findall(r"states\.py:(\d+): error", done.stdout)
    wrong = [at for at, line in enumerate(STATES.splitlines(), 1) if line.endswith("# wrong")]
    assert sorted(map(int, found)) == wrong, done.stdout + done.stderr
