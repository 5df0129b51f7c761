"""Small files that another user or a container may have put there: read without waiting.

A FIFO or a device is never opened, because that alone can wait or act; a file that is larger than
any of its kind is refused, because reading it fills memory.
"""

import errno
import os
import stat

#: No hosts file, passwd or list of variables has more bytes than this.
LIMIT_BYTES = 1 << 20
_CHUNK = 1 << 16
# What a shell makes of `<(command)`, and standard input: the caller's own, and open already.
_PASSED_ON = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")


def read_small(path: str | os.PathLike[str], *, accepts_pipe: bool = False) -> bytes:
    """A file's content.

    Args:
        path: Where it is; links are followed.
        accepts_pipe: Whether a pipe will do that the caller has passed on, as in ``/dev/fd/63``.

    Raises:
        OSError: if it cannot be read, is no regular file, or has more than `LIMIT_BYTES`.
    """
    name = os.fspath(path)
    fd = os.open(name, os.O_PATH | os.O_CLOEXEC)
    try:
        return read_found(fd, name, accepts_pipe=accepts_pipe and name.startswith(_PASSED_ON))
    finally:
        os.close(fd)


def read_found(found: int, name: str, *, accepts_pipe: bool = False) -> bytes:
    """The same of a file that has been found, by a descriptor opened with ``O_PATH``."""
    mode = os.fstat(found).st_mode
    is_pipe = accepts_pipe and stat.S_ISFIFO(mode)
    if not stat.S_ISREG(mode) and not is_pipe:
        raise OSError(errno.EINVAL, "it is no regular file", name)
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    fd = os.open(f"/proc/self/fd/{found}", flags)
    try:
        os.set_blocking(fd, True)
        return _read_all(fd, name)
    finally:
        os.close(fd)


def _read_all(fd: int, name: str) -> bytes:
    parts, size = [], 0
    while part := os.read(fd, _CHUNK):
        parts.append(part)
        size += len(part)
        if size > LIMIT_BYTES:
            raise OSError(errno.EFBIG, f"it has more than {LIMIT_BYTES >> 20} MiB", name)
    return b"".join(parts)
