"""Errors carry what programs need, and read as one sentence."""

from __future__ import annotations

import errno
import subprocess
import sys

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
