"""The shape of the code: which way imports point, what is public, what a cold start loads."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import netyard
from netyard import errors

PACKAGE = Path(netyard.__file__).parent


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


_MODULES = {_name(path): path for path in PACKAGE.rglob("*.py")}


def _mentioned(path: Path) -> set[str]:
    """Every module of netyard that a file imports: nested, for types only, or by a string."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "netyard":
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(re.findall(r"^netyard(?:\.\w+)+", node.value))
    return {name.removeprefix("netyard.") for name in found if name.startswith("netyard.")}


def _module_of(name: str) -> str:
    """The module that a dotted name is in."""
    while name and name not in _MODULES:
        name = name.rpartition(".")[0]
    return name


def _graph() -> dict[str, set[str]]:
    return {
        name: {_module_of(each) for each in _mentioned(path)} - {"", name}
        for name, path in _MODULES.items()
    }


def test_no_circles() -> None:
    """No file imports itself by way of others."""
    graph = _graph()
    while leaves := {name for name, targets in graph.items() if not targets}:
        graph = {name: targets - leaves for name, targets in graph.items() if targets}
    assert not graph


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


def test_programs_are_started_in_few_places() -> None:
    """The shim, the agent, demonstrations, and other firewalls' own tools for their chains."""
    users = {
        _name(path)
        for path in PACKAGE.rglob("*.py")
        if "subprocess.Popen" in path.read_text()
        or "subprocess.run" in path.read_text()
        or "os.system" in path.read_text()
    }
    assert users == {
        "runtime.shim",
        "demo.overlay",
        "demo.stage",
        "firewall.other_firewalls",
        "ipc.agent",
    }
