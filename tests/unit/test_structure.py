"""The shape of the code: which way imports point, what is public, what a cold start loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import netyard
from netyard import errors

PACKAGE = Path(netyard.__file__).parent

# From the ground up; a module imports from its own layer or a lower one.
LAYERS = [
    {"errors", "_core"},
    {
        "naming",
        "options",
        "spec",
        "capabilities",
        "identity",
        "randomname",
        "clock",
        "environment",
        "proxies",
        "filters",
    },
    {"netopts"},
    {"bridgeopts", "endpointopts", "overlayopts", "parentopts"},
    {"ipam.pool", "ipam.defaults", "ports", "checking", "cluster.membership"},
    {"config"},
    {
        "store.records",
        "store.schema",
        "store.memory",
        "store.store",
        "files",
        "firewall",
        "spoofing",
        "names",
        "ipam.allocate",
        "events",
        "cluster.entries",
        "cluster.etcd",
        "cluster.reading",
        "cluster.registry",
        "cluster.follow",
    },
    {
        "drivers.base",
        "drivers.registry",
        "drivers.bridge",
        "drivers.host",
        "drivers.none",
        "drivers.interface",
        "drivers.overlay",
        "drivers.parent",
        "agent.identity",
        "agent.zones",
        "agent.drift",
        "agent.mesh",
        "agent.remotes",
        "agent.protocol",
        "agent.watch",
        "agent.errand",
        "agent.client",
        "flows",
        "runtime.process",
        "runtime.logs",
        "runtime.shim",
        "surroundings",
    },
    {"host"},
    {"kernel", "coexistence", "ground", "cluster.client"},
    {"bridgeplan", "overlayplan", "parentplan"},
    {"endpoint", "publishing", "provision", "leasing", "wayout"},
    {"lifecycle", "members", "agent.catalogue"},
    {
        "connecting",
        "readdressing",
        "inspect",
        "agent.server",
        "agent.leases",
        "agent.cluster",
        "agent.firewalls",
    },
    {"planning", "builtin"},
    {"networks", "batching"},
    {"network"},
    {"making", "listing", "portchange", "doctor"},
    {"adopting"},
    {"container"},
    {"reconcile", "remains"},
    {"demo.stage", "demo.bridges", "demo.l2", "demo.overlay"},
    {"cli"},
]
_RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def _imports(path: Path) -> set[str]:
    """Modules of netyard a file imports when it is imported itself."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("netyard"):
            base = (node.module or "").removeprefix("netyard").lstrip(".")
            names = [f"{base}.{alias.name}".lstrip(".") for alias in node.names]
            found |= {name if name in _RANK else base for name in names}
    return found


def _rank(name: str) -> int | None:
    return _RANK["cli"] if name.startswith("cli") else _RANK.get(name)


def test_every_module_has_a_layer() -> None:
    """A new module must be put somewhere."""
    modules = {_name(path) for path in PACKAGE.rglob("*.py")}
    outside = {name for name in modules if "__" not in name and _rank(name) is None}
    assert not outside


def test_imports_point_down() -> None:
    """CLI, model, drivers, store, values: never up."""
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        own = _rank(_name(path))
        if own is None:
            continue
        for other in _imports(path):
            rank = _rank(other)
            if rank is not None and rank > own:
                wrong.append(f"{_name(path)} imports {other}")
    assert not wrong


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
    assert not version & {"netyard.container", "netyard.host", "netyard.store", "inspect"}
    assert "platform" not in run
    assert "netyard.container" in run
    assert not run & {"netyard.cluster.entries", "netyard.overlayplan", "csv"}


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


def test_programs_are_started_in_few_places() -> None:
    """The shim, the agent, demonstrations, and other firewalls' own tools for their chains."""
    users = {
        _name(path)
        for path in PACKAGE.rglob("*.py")
        if "subprocess.Popen" in path.read_text()
        or "subprocess.run" in path.read_text()
        or "os.system" in path.read_text()
    }
    assert users == {"runtime.shim", "agent.client", "demo.stage", "demo.overlay", "coexistence"}
