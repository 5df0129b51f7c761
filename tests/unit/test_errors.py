"""Errors carry what programs need, and read as one sentence."""

from __future__ import annotations

import ast
import copy
import errno
import os
import pickle
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from netyard import errors
from netyard._core import FailureKind

KINDS = [getattr(FailureKind, name) for name in dir(FailureKind) if name.isupper()]
AS_ROOT = "run netyard as root, or with CAP_NET_ADMIN and CAP_SYS_ADMIN"


@pytest.mark.parametrize(
    ("given", "kind", "text", "hint"),
    [
        (
            {
                "kind": FailureKind.OTHER,
                "operation": "create link",
                "subject": "eth0",
                "errno": errno.EEXIST,
            },
            errors.KernelError,
            "create link eth0: File exists",
            None,
        ),
        (
            {
                "kind": FailureKind.NO_BRIDGE,
                "operation": "create bridge",
                "subject": "b",
                "errno": errno.EOPNOTSUPP,
                "message": "Unknown device type",
                "attribute": "IFLA_LINKINFO/IFLA_INFO_KIND",
            },
            errors.Unsupported,
            "create bridge b: Operation not supported, kernel: Unknown device type, "
            "at IFLA_LINKINFO/IFLA_INFO_KIND",
            "this kernel lacks bridges: load the module bridge",
        ),
        (
            {
                "kind": FailureKind.NOT_PERMITTED,
                "operation": "create table",
                "subject": "netyard",
                "errno": errno.EPERM,
            },
            errors.PermissionDenied,
            "create table netyard: Operation not permitted",
            AS_ROOT,
        ),
        (
            {
                "kind": FailureKind.NO_NFTABLES,
                "operation": "open netlink socket",
                "errno": errno.EPROTONOSUPPORT,
            },
            errors.Unsupported,
            "open netlink socket: Protocol not supported",
            "this kernel lacks nf_tables: load the modules nf_tables, nft_chain_nat and nft_fib",
        ),
        (
            {"kind": FailureKind.NOT_SUPPORTED, "operation": "mount", "errno": errno.EOPNOTSUPP},
            errors.Unsupported,
            "mount: Operation not supported",
            None,
        ),
    ],
)
def test_kernel_errors(given: dict, kind: type, text: str, hint: str | None) -> None:
    """What was asked, what the kernel said, what to do."""
    error = errors.kernel_error(**given)
    assert type(error) is kind
    assert str(error) == text
    assert error.errno == given["errno"]
    assert error.strerror == os.strerror(given["errno"])
    assert isinstance(error, OSError)
    assert error.hint == hint


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_no_word_makes_a_kind(kind: FailureKind) -> None:
    """Class and hint are those of the kind, whatever operation and errno are."""
    made = [
        errors.kernel_error(kind=kind, operation=operation, errno=number)
        for operation in ("create bridge", "apply ruleset", "open netlink socket", "add rule", "x")
        for number in (errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, None)
    ]
    assert len({(type(error), error.hint) for error in made}) == 1


def test_every_kind_of_failure_says_what_to_do() -> None:
    """Each lack names its own module; nobody but root is told to become root."""
    assert len(KINDS) == 12
    made = {str(kind): errors.kernel_error(kind=kind, operation="x") for kind in KINDS}
    lacking = [error.hint for name, error in made.items() if ".NO_" in name]
    assert len(set(lacking)) == 9
    assert all(hint and "this kernel lacks " in hint and "load the mod" in hint for hint in lacking)
    others = {name: error.hint for name, error in made.items() if ".NO_" not in name}
    assert others == {
        "FailureKind.OTHER": None,
        "FailureKind.NOT_PERMITTED": AS_ROOT,
        "FailureKind.NOT_SUPPORTED": None,
    }


def test_errors_load_without_the_core() -> None:
    """What only catches errors does not wait for 20 MB of kernel work to be mapped."""
    code = "import sys, netyard.errors; sys.exit('netyard._core' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES])
def test_permission_denied_is_the_builtin(number: int) -> None:
    """Programs that know nothing of netyard catch it, and find what they expect in it."""
    with pytest.raises(PermissionError, match=r"^no$") as caught:
        raise errors.PermissionDenied("no", errno=number, hint="ask")
    assert isinstance(caught.value, errors.KernelError)
    assert (caught.value.errno, caught.value.strerror) == (number, os.strerror(number))
    assert errors.PermissionDenied("no").errno == errno.EPERM
    # Other failures of the kernel are not one.
    assert not isinstance(errors.KernelError("no", errno=number), PermissionError)


def test_without_root_permission_is_denied() -> None:
    """`Host()` raises what Python's own functions would."""
    code = (
        "import os\nfrom netyard import Host\n"
        "os.geteuid() or os.seteuid(65534)\n"
        "try:\n    Host()\n"
        "except PermissionError as error:\n"
        "    print(error.errno, error.strerror, error, error.hint, sep='; ')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    number, meaning, text, hint = done.stdout.strip().split("; ")
    assert (int(number), meaning) == (errno.EPERM, "Operation not permitted")
    assert text.startswith("netyard needs root to work on networks, and this is user ")
    assert hint == "run it with sudo"


def every_class() -> list[type[errors.NetyardError]]:
    """All that netyard raises."""
    found = [errors.NetyardError]
    for each in found:
        found += each.__subclasses__()
    return found


# What some of them are made with, beside message and hint.
MADE_WITH: dict[type, dict[str, Any]] = {
    errors.Invalid: {"field": "--mtu", "value": (1, "a")},
    errors.Conflict: {"holder": "web"},
    errors.StartFailed: {"exit_code": 127},
    errors.KernelError: {
        "errno": errno.EACCES,
        "operation": "open",
        "subject": "eth0",
        "kernel_message": "No",
        "attribute": "IFLA_MTU",
    },
}


@pytest.mark.parametrize("kind", every_class(), ids=lambda kind: kind.__name__)
def test_errors_survive_copies(kind: type[errors.NetyardError]) -> None:
    """Between processes too, where `concurrent.futures` pickles them."""
    if kind is errors.Several:
        one = errors.PermissionDenied("one", errno=errno.EACCES, hint="ask")
        error: errors.NetyardError = errors.Several([one, errors.Conflict("two", holder="web")])
    else:
        settings = next((MADE_WITH[base] for base in kind.__mro__ if base in MADE_WITH), {})
        error = kind("it is so", hint="do this", **settings)
    pickled = [pickle.dumps(error, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for other in [copy.copy(error), copy.deepcopy(error), *map(pickle.loads, pickled)]:
        assert type(other) is kind
        assert described(other) == described(error)


class Unwilling:
    """What `pickle` cannot take, as one that holds a lock or a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        raise RuntimeError("never")

    def __repr__(self) -> str:
        return "<unwilling>"


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (Unwilling(), "<unwilling>"),
        ({"net": Unwilling()}, "{'net': <unwilling>}"),
        (threading.Lock(), "<unlocked _thread.lock"),
        (lambda: None, "<function <lambda> at"),
    ],
    ids=["refuses", "within", "lock", "lambda"],
)
def test_errors_with_any_value_survive_copies(value: object, seen: str) -> None:
    """What was refused may be what cannot be pickled; then what it looked like is kept."""
    error = errors.Invalid("it is so", field="network", value=value, hint="do this")
    assert copy.copy(error).value is value
    both = errors.Several([error, errors.Conflict("two", holder="web")])
    for other in (
        pickle.loads(pickle.dumps(error)),
        copy.deepcopy(error),
        pickle.loads(pickle.dumps(both)).errors[0],
    ):
        assert (type(other), str(other)) == (errors.Invalid, "it is so")
        assert (other.field, other.hint, other.kind) == ("network", "do this", "invalid")
        assert other.value.startswith(seen)


def described(error: errors.NetyardError) -> dict[str, Any]:
    """All there is to an error, and to those in it."""
    values = {name: getattr(error, name, None) for name in dir(error) if name[:2] != "__"}
    found = {name: value for name, value in values.items() if not callable(value)}
    if isinstance(error, errors.Several):
        found["errors"] = [(type(each), described(each)) for each in error.errors]
    return {**found, "str": str(error), "repr": repr(error)}


def test_kinds_are_stable() -> None:
    """CV1: programs read `.kind`."""
    assert {
        errors.Invalid("x").kind,
        errors.NotFound("x").kind,
        errors.Conflict("x").kind,
        errors.Forbidden("x").kind,
        errors.Exhausted("x").kind,
        errors.KernelError("x").kind,
    } == {"invalid", "not-found", "conflict", "forbidden", "exhausted", "kernel"}
    assert isinstance(errors.Invalid("x"), ValueError)
    assert isinstance(errors.NotFound("x"), LookupError)


def test_several() -> None:
    """CV6."""
    errors.raise_all([])
    one = errors.Invalid("one")
    with pytest.raises(errors.Invalid):
        errors.raise_all([one])
    with pytest.raises(errors.Several) as caught:
        errors.raise_all([one, errors.Conflict("two")])
    assert str(caught.value) == "one\ntwo"
    assert caught.value.kind == "invalid"


# What is printed speaks of programs, containers and packets in the field's terms.
_NO_TERMS = re.compile(
    r"\b(who|whom|whoever|nobody|somebody|someone|doors?|judged?)\b|wire to wire", re.IGNORECASE
)
_PACKAGE = Path(errors.__file__).parent


def _texts(source: Path) -> list[str]:
    """The texts in a file but for docstrings: messages, hints, help, comments of firewall rules."""
    tree = ast.parse(source.read_text())
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare
    ]


def test_what_is_printed_is_technical_english() -> None:
    # Migrations are never edited, and never shown.
    sources = [each for each in _PACKAGE.rglob("*.py") if each.name != "schema.py"]
    assert len(sources) > 100
    found = {each.name: [*filter(_NO_TERMS.search, _texts(each))] for each in sources}
    assert {name: texts for name, texts in found.items() if texts} == {}
