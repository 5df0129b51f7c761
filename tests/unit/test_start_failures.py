"""What the shim reports of a start that failed, as a user is told it."""

from __future__ import annotations

import errno

from netyard.runtime import shim


def test_kernels_that_lack_something() -> None:
    """By what it lacks, and not by the number of an error."""
    failure = shim._start_failure(f"{errno.ENODEV} overlay /", ["true"])
    assert str(failure) == "overlay /: this kernel has no overlay file systems (CONFIG_OVERLAY_FS)"
    failure = shim._start_failure(f"{errno.ENOSYS} make read-only /etc", ["true"])
    assert str(failure) == "this kernel cannot do what containers need: make read-only /etc"
    assert failure.hint == "netyard needs Linux 5.12 or later"
    assert "cannot be executed" in str(shim._start_failure(f"{errno.ENOSYS} exec", ["true"]))
