"""Everything netyard raises.

::

    NetyardError                 base: .kind .hint
    ├── Invalid                  a value is wrong (also ValueError): .field .value
    ├── NotFound                 no such network, container, driver (also LookupError)
    ├── Conflict                 the present state forbids it: .holder names what is in the way
    │   ├── NameInUse
    │   ├── AddressInUse
    │   ├── PortInUse
    │   └── SubnetOverlap
    ├── Forbidden                never allowed
    ├── Exhausted                no address, subnet, port or range of ids left
    ├── KernelError              the kernel refused (also OSError): .errno .operation .subject
    │   ├── PermissionDenied     (also PermissionError)
    │   └── Unsupported
    ├── StartFailed              a container's command did not start: .exit_code
    ├── TimedOut                 it took longer than the caller would wait (also TimeoutError)
    ├── StateError               what netyard itself leans on is unwell
    │   ├── StoreError
    │   ├── AgentError
    │   ├── ClusterError
    │   └── DriverError          a driver package is missing or fails: .driver .package
    └── Several                  more than one of the above: .errors

Every message is one complete sentence without a full stop. A hint, if there is one, says what to
do about it.
"""

from __future__ import annotations

import errno as errno_names
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netyard._core import FailureKind


class NetyardError(Exception):
    """Base of everything netyard raises on purpose.

    Attributes:
        kind: A stable word for programs: ``invalid``, ``not-found``, ``conflict``, ``forbidden``,
            ``exhausted``, ``kernel``, ``start``, ``timeout`` or ``state``.
        hint: What to do about it, or ``None``.
    """

    kind = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    def __copy__(self) -> NetyardError:
        made = _revive(type(self), self.args)
        for name, value in self._state().items():
            setattr(made, name, value)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are copied by calling their class with `args`, which leaves out the rest.
        state = {name: _picklable(value) for name, value in self._state().items()}
        return _revive, (type(self), self.args), state

    def _state(self) -> dict[str, Any]:
        return dict(self.__dict__)


def _picklable(value: Any) -> Any:
    """A value, or what it looks like: one that was refused may be anything, even an open file."""
    if value is None or type(value) in (str, int):
        return value
    import pickle

    try:
        pickle.dumps(value)
    except Exception:
        return shown(value)
    return value


def shown(value: object) -> str:
    """What a value looks like in a sentence about it, whatever it is."""
    try:
        return repr(value)
    except Exception:
        # More digits than Python writes.
        if isinstance(value, int):
            return f"a number of {value.bit_length()} bits"
        # Its own `__repr__` fails, or that of something in it.
        return f"<{type(value).__name__}>"


def _revive(kind: type[NetyardError], args: tuple[Any, ...]) -> NetyardError:
    """An error as it is before its attributes are set: for `pickle` and `copy`."""
    error = kind.__new__(kind, *args)
    error.args = args
    return error


class Invalid(NetyardError, ValueError):
    """A value is wrong: ``field`` names the flag or parameter, ``value`` is what was given."""

    kind = "invalid"

    def __init__(
        self, message: str, *, field: str = "", value: object = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.field = field
        self.value = value


class NotFound(NetyardError, LookupError):
    """There is no such network, container or driver."""

    kind = "not-found"


class Conflict(NetyardError):
    """The present state forbids it; ``holder`` names what is in the way, where known."""

    kind = "conflict"

    def __init__(self, message: str, *, holder: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.holder = holder


class NameInUse(Conflict):
    """A network or container of that name exists."""


class AddressInUse(Conflict):
    """That address is in use."""


class PortInUse(Conflict):
    """That host port is in use."""


class SubnetOverlap(Conflict):
    """Another network has addresses of that subnet."""


class Forbidden(NetyardError):
    """It is never allowed, whatever the state."""

    kind = "forbidden"


class Exhausted(NetyardError):
    """There is no address, subnet, port or range of ids left to give."""

    kind = "exhausted"


class KernelError(NetyardError, OSError):
    """The kernel refused.

    Attributes:
        errno: The error number, 0 if there was none.
        strerror: What the number means, ``None`` if there was none.
        operation: What was asked, as a verb phrase.
        subject: What it was asked about.
        kernel_message: The kernel's own text (extended acknowledgement), or ``None``.
        attribute: The netlink attribute at fault, as a path of kernel names, or ``None``.
    """

    kind = "kernel"
    _usual_errno = 0

    def __init__(
        self,
        message: str,
        *,
        errno: int = 0,
        operation: str = "",
        subject: str = "",
        kernel_message: str | None = None,
        attribute: str | None = None,
        hint: str | None = None,
    ) -> None:
        NetyardError.__init__(self, message, hint=hint)
        self.errno = errno or self._usual_errno
        self.strerror = os.strerror(self.errno) if self.errno else None
        self.operation = operation
        self.subject = subject
        self.kernel_message = kernel_message
        self.attribute = attribute

    def _state(self) -> dict[str, Any]:
        # Those two are no part of `__dict__`.
        return {**super()._state(), "errno": self.errno, "strerror": self.strerror}


class PermissionDenied(KernelError, PermissionError):
    """The kernel wants a privilege this process does not have (also PermissionError).

    ``errno`` is ``EPERM`` or ``EACCES``; ``EPERM`` where nothing else is said.
    """

    _usual_errno = errno_names.EPERM


class Unsupported(KernelError):
    """This kernel lacks the feature; the hint names the module where one is known."""


class StartFailed(NetyardError):
    """A container's command did not start.

    Attributes:
        exit_code: What a shell would say: 127 not found, 126 not executable, 125 anything else.
    """

    kind = "start"

    def __init__(self, message: str, *, exit_code: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class TimedOut(NetyardError, TimeoutError):
    """It has not ended in the time that the caller gave it."""

    kind = "timeout"


class StateError(NetyardError):
    """What netyard itself leans on is unwell."""

    kind = "state"


class StoreError(StateError):
    """The state directory cannot be used: full, locked, read-only, damaged, of a newer netyard."""


class AgentError(StateError):
    """The agent cannot be started or does not answer."""


class ClusterError(StateError):
    """The state shared with other hosts cannot be reached, or refuses this host."""


class DriverError(StateError):
    """A network driver of another package is not there, or does not do what a driver must.

    Attributes:
        driver: The driver's name, as in ``--driver``.
        package: The package that offers it; ``""`` if none does.
    """

    def __init__(
        self, message: str, *, driver: str = "", package: str = "", hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.driver = driver
        self.package = package


class Several(NetyardError):
    """More than one thing is wrong, or went wrong; ``errors`` has them all."""

    def __init__(self, errors: Sequence[NetyardError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = list(errors)
        self.kind = self.errors[0].kind


def raise_all(errors: Sequence[NetyardError]) -> None:
    """Raise what was collected: nothing, the one, or `Several`."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Several(errors)


_NOT_PERMITTED = "run netyard as root, or with CAP_NET_ADMIN and CAP_SYS_ADMIN"
_LACKING = "this kernel lacks {}: load the module {}"


@lru_cache(maxsize=1)
def _kinds() -> dict[FailureKind, tuple[type[KernelError], str | None]]:
    """The class and the hint of each kind of failure."""
    from netyard._core import FailureKind

    lacking = {
        FailureKind.NO_BRIDGE: ("bridges", "bridge"),
        FailureKind.NO_VETH: ("veth", "veth"),
        FailureKind.NO_VLAN: ("VLANs", "8021q"),
        FailureKind.NO_DUMMY: ("dummy interfaces", "dummy"),
        FailureKind.NO_MACVLAN: ("macvlan", "macvlan"),
        FailureKind.NO_IPVLAN: ("ipvlan", "ipvlan"),
        FailureKind.NO_VXLAN: ("VXLAN", "vxlan"),
        FailureKind.NO_WIREGUARD: ("WireGuard", "wireguard"),
    }
    nf_tables = "this kernel lacks nf_tables: load the modules nf_tables, nft_chain_nat and nft_fib"
    return {
        FailureKind.OTHER: (KernelError, None),
        FailureKind.NOT_PERMITTED: (PermissionDenied, _NOT_PERMITTED),
        FailureKind.NOT_SUPPORTED: (Unsupported, None),
        FailureKind.NO_NFTABLES: (Unsupported, nf_tables),
        **{kind: (Unsupported, _LACKING.format(*what)) for kind, what in lacking.items()},
    }


def kernel_error(
    *,
    kind: FailureKind,
    operation: str,
    subject: str = "",
    errno: int | None = None,
    message: str | None = None,
    attribute: str | None = None,
) -> KernelError:
    """Make the exception for a failure in `netyard._core`, which says what kind it is."""
    about = f"{operation} {subject}".strip()
    reason = os.strerror(errno) if errno else "failed"
    details = [reason]
    if message:
        details.append(f"kernel: {message}" if errno else message)
    if attribute:
        details.append(f"at {attribute}")
    error, hint = _kinds()[kind]
    return error(
        f"{about}: {', '.join(details)}",
        errno=errno or 0,
        operation=operation,
        subject=subject,
        kernel_message=message,
        attribute=attribute,
        hint=hint,
    )
