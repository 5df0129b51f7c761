"""Runs a command as on a kernel that lacks system calls: old_kernel.py NUMBER,... COMMAND...

By a filter that answers with ENOSYS, which all that the command starts inherits. `NUMBER=ERRNO` is
answered with that error.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _IS, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000

program = [(_LOAD, 0, 0, 0)]
for word in sys.argv[1].split(","):
    number, _, failure = word.partition("=")
    program += [(_IS, 0, 1, int(number)), (_RETURN, 0, 0, _ERRNO | int(failure or errno.ENOSYS))]
program.append((_RETURN, 0, 0, _ALLOW))
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
given = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
for call in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _FILTER, given, 0, 0)):
    if libc.prctl(*call):
        sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[2], sys.argv[2:])
