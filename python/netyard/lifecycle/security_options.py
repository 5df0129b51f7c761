"""``--security-opt``, in Docker's words: what of it netyard has, and what it refuses."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from netyard.errors import Invalid
from netyard.runtime import seccomp

_FIELD = "--security-opt"
_RIGHT = "no-new-privileges[=true|false], seccomp=unconfined or seccomp=FILE"
_TRUTH = {"": True, "true": True, "1": True, "false": False, "0": False}
_MOST_BYTES = 1 << 20


class SecurityOptions(NamedTuple):
    """What was asked for.

    Attributes:
        no_new_privileges: Set-user-id programs give nothing.
        seccomp: Empty for netyard's own list, ``unconfined``, or a profile's text.
    """

    no_new_privileges: bool = False
    seccomp: str = ""


def parse(words: Iterable[str]) -> SecurityOptions:
    """Options as typed; of several of one kind the last counts.

    Raises:
        Invalid: if there is no such option, or a profile cannot be read or honoured.
    """
    found = SecurityOptions()
    for word in words:
        # Docker's older form has a colon.
        joint = min((word.find(each) for each in "=:" if each in word), default=len(word))
        name, value = word[:joint], word[joint + 1 :]
        if name == "no-new-privileges" and value.lower() in _TRUTH:
            found = found._replace(no_new_privileges=_TRUTH[value.lower()])
        elif name == "seccomp" and value:
            found = found._replace(seccomp=_profile(value))
        else:
            raise Invalid(f"{_FIELD}: {word!r} must be {_RIGHT}", field=_FIELD, value=word)
    return found


def _profile(value: str) -> str:
    if value == "builtin":
        return ""
    if not seccomp.is_available() and value != seccomp.UNCONFINED:
        raise Invalid(f"{_FIELD}: this kernel has no filters of system calls", field=_FIELD)
    if value == seccomp.UNCONFINED:
        return value
    from netyard.runtime import seccomp_profile

    text = _read(Path(value))
    seccomp_profile.check(text, value)
    return text


def _read(path: Path) -> str:
    wrong = f"{_FIELD}: seccomp profile {path}"
    try:
        # Without waiting: what it is shows once it is open.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            text = file.read(_MOST_BYTES + 1) or b""
    except OSError as error:
        raise Invalid(f"{wrong} cannot be read: {error.strerror}", field=_FIELD) from None
    if len(text) > _MOST_BYTES:
        raise Invalid(f"{wrong} has more than {_MOST_BYTES} bytes", field=_FIELD)
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise Invalid(f"{wrong} is no UTF-8 text", field=_FIELD) from None


def shown(options: SecurityOptions) -> list[str]:
    """As ``inspect`` shows them: in Docker's form."""
    words = ["no-new-privileges"] if options.no_new_privileges else []
    return words + ([f"seccomp={options.seccomp}"] if options.seccomp else [])
