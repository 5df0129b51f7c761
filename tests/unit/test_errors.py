"""Errors carry what programs need, and read as one sentence."""

from __future__ import annotations

import errno

import pytest

from netyard import errors


@pytest.mark.parametrize(
    ("given", "kind", "text", "hint"),
    [
        (
            {"operation": "create link", "subject": "eth0", "errno": errno.EEXIST},
            errors.KernelError,
            "create link eth0: File exists",
            None,
        ),
        (
            {
                "operation": "create bridge",
                "subject": "b",
                "errno": errno.EOPNOTSUPP,
                "message": "Unknown device type",
                "attribute": "IFLA_LINKINFO/IFLA_INFO_KIND",
            },
            errors.Unsupported,
            "create bridge b: Operation not supported, kernel: Unknown device type, "
            "at IFLA_LINKINFO/IFLA_INFO_KIND",
            "module bridge",
        ),
        (
            {"operation": "create table", "subject": "netyard", "errno": errno.EPERM},
            errors.PermissionDenied,
            "create table netyard: Operation not permitted",
            "as root",
        ),
        (
            {"operation": "open netlink socket", "errno": errno.EPROTONOSUPPORT},
            errors.Unsupported,
            "open netlink socket: Protocol not supported",
            "nf_tables",
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
    assert (hint in error.hint) if hint else error.hint is None


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
