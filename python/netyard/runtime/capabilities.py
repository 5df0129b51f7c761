"""Linux capabilities: their names, and the bit mask that the shim gets.

Names and bits are those of ``include/uapi/linux/capability.h``. They are set by the shim.
"""

from __future__ import annotations

from collections.abc import Iterable

from netyard.errors import Invalid

_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()
_ALL = (1 << len(_NAMES)) - 1
# Docker's default set; the shim has the same one.
_DEFAULT = (
    "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW "
    "SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP"
).split()


def capability_mask(add: Iterable[str], drop: Iterable[str]) -> int | None:
    """The capabilities a container keeps; ``None`` for the default set."""
    add, drop = list(add), list(drop)
    if not add and not drop:
        return None
    mask = sum(1 << _NAMES.index(name) for name in _DEFAULT)
    for word in drop:
        mask &= ~_bits("--cap-drop", word)
    for word in add:
        mask |= _bits("--cap-add", word)
    return mask


def holds(mask: int | None, name: str) -> bool:
    """Whether a container that keeps these, ``None`` for the default set, keeps the one."""
    return name in _DEFAULT if mask is None else bool(mask >> _NAMES.index(name) & 1)


def is_name(word: str) -> bool:
    """Whether there is a capability of this name, in capitals and without ``CAP_``."""
    return word in _NAMES


def _bits(flag: str, word: str) -> int:
    name = word.upper().removeprefix("CAP_")
    if name == "ALL":
        return _ALL
    if name not in _NAMES:
        raise Invalid(f"{flag}: {word!r} is no capability such as NET_ADMIN", field=flag)
    return 1 << _NAMES.index(name)
