"""What a user's type checker and editor see: every public name, every keyword."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import netyard
from netyard import AdoptSettings, Container, ContainerSettings, Network, NetworkSettings

PROGRAM = Path(__file__).with_name("user_program.py")
PACKAGE = Path(netyard.__file__).parents[1]
PAIRS = [
    (ContainerSettings, Container.create, {"host"}),
    (AdoptSettings, Container.adopt, {"host", "name"}),
    (NetworkSettings, Network.create, {"host", "name"}),
]


def checked(program: Path) -> subprocess.CompletedProcess[str]:
    """What ``mypy --strict`` says of a program, knowing nothing of netyard but its package."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=/dev/null"),
            *("--python-version=3.10", str(program)),
        ],
        env={"MYPYPATH": str(PACKAGE)},
        cwd=program.parent,
        capture_output=True,
        text=True,
    )


def test_a_users_program_has_no_type_errors() -> None:
    """It names every public name."""
    named = {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(ast.parse(PROGRAM.read_text()))
        if isinstance(node, ast.Name | ast.Attribute)
    }
    assert set(netyard.__all__) <= named, "a public name that the program does not use"
    done = checked(PROGRAM)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_wrong_is_a_type_error(tmp_path: Path) -> None:
    """Misspelt keywords of all that hand keywords on, and values of a wrong type."""
    wrong = {
        "netyard.Contianer": 'has no attribute "Contianer"',
        'Container.run("true", netwrok="net")': 'Unexpected keyword argument "netwrok"',
        'Container.create("true", imag="x")': 'Unexpected keyword argument "imag"',
        'host.containers.create("true", publsh="80:80")': 'Unexpected keyword argument "publsh"',
        'host.containers.run("true", detach=True)': 'Unexpected keyword argument "detach"',
        'host.containers.adopt("lab", ned="/run/netns/lab")': 'Unexpected keyword argument "ned"',
        'Network.create("net", subnets="10.0.0.0/24")': 'Unexpected keyword argument "subnets"',
        'host.networks.create("net", drvier="bridge")': 'Unexpected keyword argument "drvier"',
        'Container.run("true", publish=80)': 'Argument "publish" to "run" of "Container"',
        'Container.run("true", tty="yes")': 'Argument "tty" to "run" of "Container"',
        'Container.run("true", network=host)': 'Argument "network" to "run" of "Container"',
        'Container.run("true", links=net)': 'Argument "links" to "run" of "Container"',
        "NetworkRequest(box)": 'Argument 1 to "NetworkRequest"',
        'NetworkRequest("net", gw_priority="high")': 'Argument "gw_priority" to "NetworkRequest"',
        "net.host.netwroks": 'has no attribute "netwroks"',
        'Container.run("sleep", 5)': 'Argument 2 to "run" of "Container"',
        "net.connect(net)": 'Argument 1 to "connect" of "Network"',
        'box.exec("cat", input="text")': 'Argument "input" to "exec"',
        "net.connect(box).ip = None": "read-only",
    }
    program = tmp_path / "wrong.py"
    head = "import netyard\nfrom netyard import Container, Host, Network, NetworkRequest\n\n\n"
    head += "def wrong(host: Host, net: Network, box: Container) -> None:\n"
    program.write_text(head + "".join(f"    {line}\n" for line in wrong))
    found: dict[int, str] = {}
    for line in checked(program).stdout.splitlines():
        place = re.match(r".*wrong\.py:(\d+): error: (.*)", line)
        if place:
            found[int(place[1])] = found.get(int(place[1]), "") + place[2]
    for number, (line, words) in enumerate(wrong.items(), start=head.count("\n") + 1):
        assert words in found.get(number, ""), (line, found)


def explained(docstring: str | None, section: str) -> Mapping[str, str]:
    """What a section of a docstring says of each name."""
    body = inspect.cleandoc(docstring or "").split(f"\n{section}:\n", 1)[1]
    body = re.split(r"\n(?! )", body, maxsplit=1)[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", body, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


@pytest.mark.parametrize(("settings", "function", "beside"), PAIRS)
def test_settings_and_signatures_agree(settings: Any, function: Any, beside: set[str]) -> None:
    """In names, order, types, and in what is said of each."""
    taken = inspect.signature(function).parameters.values()
    named = [each for each in taken if each.name not in beside and each.kind is each.KEYWORD_ONLY]
    types = {key: each.__forward_arg__ for key, each in settings.__annotations__.items()}
    assert types == {each.name: each.annotation for each in named}
    assert list(types) == [each.name for each in named]
    assert not settings.__required_keys__
    said = explained(function.__doc__, "Args")
    assert explained(settings.__doc__, "Attributes") == {key: said[key] for key in types}
    assert said.keys() == {each.name for each in taken}


def test_groups_are_the_same() -> None:
    """The comments that part its parameters, in both places."""
    text = inspect.getsource(Container.create).split('"""', 1)[0]
    other = inspect.getsource(ContainerSettings).rsplit('"""', 1)[1]
    pattern = r"# (.+)|^ +(\w+):"
    groups = [re.findall(pattern, each, re.MULTILINE) for each in (text, other)]
    assert groups[0][: len(groups[1])] == groups[1]
    assert len([group for group, _ in groups[1] if group]) == 9


# Not of the public interface, and its type is not loaded with each container's record.
UNKNOWN = {"ContainerSpec.port_requests"}


def described() -> Iterator[tuple[str, Any]]:
    """Every public class, and those that their signatures name, with their functions."""
    waiting: list[Any] = [getattr(netyard, name) for name in netyard.__all__ if name[0] != "_"]
    known = set()
    while waiting:
        found = waiting.pop()
        if found in known or not found.__module__.startswith("netyard."):
            continue
        known.add(found)
        yield found.__qualname__, found
        for name, member in inspect.getmembers(found):
            function = inspect.unwrap(getattr(member, "fget", getattr(member, "func", member)))
            is_public = name == "__init__" or not name.startswith("_")
            is_function = inspect.isfunction(function) or inspect.ismethod(function)
            if f"{found.__qualname__}.{name}" in UNKNOWN:
                continue
            if is_public and is_function and "netyard" in str(function.__module__):
                yield f"{found.__qualname__}.{name}", function
                hints = typing.get_type_hints(function).values()
                waiting += [each for hint in hints for each in classes_in(hint)]


def classes_in(hint: Any) -> Iterator[Any]:
    """The classes that a type is made of."""
    if isinstance(hint, type):
        yield hint
    for each in typing.get_args(hint):
        yield from classes_in(each)


def test_types_can_be_asked_for() -> None:
    """`typing.get_type_hints` finds every name in every annotation, as documentation tools do."""
    found = dict(described())
    assert {"Container.create", "Host.members", "Network.connect", "NetworkRequest"} <= set(found)
    assert {"Members.join", "ContainerSpec", "Networks.list", "Execution.kill"} <= set(found)
    hints = {name: typing.get_type_hints(each) for name, each in found.items()}
    assert hints["Network.__init__"]["host"] is netyard.Host
    assert hints["Container"]["host"] is netyard.Host is hints["Network"]["host"]
    assert netyard.Container in typing.get_args(hints["ContainerSettings"]["network"])
    assert hints["Host.members"]["return"].__name__ == "Members"


def test_types_are_not_paid_for() -> None:
    """Names in annotations are loaded when they are asked for, not by importing what has them."""
    code = (
        "import sys, typing\n"
        "from netyard import Network\n"
        "assert not {'netyard.api.container', 'netyard.api.request'} & set(sys.modules)\n"
        "typing.get_type_hints(Network.connect)\n"
        "assert 'netyard.api.container' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_prompt_shows() -> None:
    """``dir``, ``help`` and ``import *`` know the public names, whatever has been imported."""
    code = (
        "import netyard, pydoc\n"
        "shown = dir(netyard)\n"
        "assert set(netyard.__all__) <= set(shown), shown\n"
        "assert not [name for name in shown if name not in netyard.__all__ and name[0] != '_']\n"
        "assert 'import_module' not in shown and '_HOME' not in shown\n"
        "text = pydoc.plain(pydoc.render_doc(netyard))\n"
        "for name in netyard.__all__:\n"
        "    assert name == '__version__' or f'    class {name}(' in text, name\n"
        "before = set(globals())\n"
        "from netyard import *\n"
        "assert set(globals()) - before - {'before'} == set(netyard.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
