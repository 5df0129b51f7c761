"""Asks, from inside a container, which system calls there are: NAME or NAME:ARGUMENT,... for each.

Prints a line for each: the name and ``EPERM``, ``ENOSYS`` or ``-``. Calls get arguments that do
nothing, so that one that is let through fails for another reason, or has no effect.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

_NUMBERS = {
    "x86_64": {
        "add_key": 248, "bpf": 321, "clock_settime": 227, "clone": 56, "clone3": 435,
        "io_uring_setup": 425, "keyctl": 250, "kcmp": 312, "mbind": 237, "mount": 165,
        "open_by_handle_at": 304, "perf_event_open": 298, "personality": 135, "ptrace": 101,
        "reboot": 169, "setns": 308, "socket": 41, "swapon": 167, "umount2": 166, "unshare": 272,
        "userfaultfd": 323, "init_module": 175, "kexec_load": 246, "chroot": 161, "getppid": 110,
        "x32": 0x40000000 + 39, "newer": 500,
    },
    "aarch64": {
        "add_key": 217, "bpf": 280, "clock_settime": 112, "clone": 220, "clone3": 435,
        "io_uring_setup": 425, "keyctl": 219, "kcmp": 272, "mbind": 235, "mount": 40,
        "open_by_handle_at": 265, "perf_event_open": 241, "personality": 92, "ptrace": 117,
        "reboot": 142, "setns": 268, "socket": 198, "swapon": 224, "umount2": 39, "unshare": 97,
        "userfaultfd": 282, "init_module": 105, "kexec_load": 104, "chroot": 51, "getppid": 173,
        "x32": 0x40000000 + 39, "newer": 500,
    },
}[os.uname().machine]  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)
for word in sys.argv[1:]:
    name, _, given = word.partition(":")
    arguments = [int(each, 0) for each in given.split(",") if each] or [-1] * 5
    ctypes.set_errno(0)
    _libc.syscall(_NUMBERS[name], *[ctypes.c_long(each) for each in arguments])
    failed = ctypes.get_errno()
    print(word, errno.errorcode[failed] if failed in (errno.EPERM, errno.ENOSYS) else "-")
