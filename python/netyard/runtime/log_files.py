"""The files of a container's log, as the shim puts them aside: ``LOG``, ``LOG.1``, ``LOG.2``…

Here they are found, read in pieces from a place on or from the end, and removed; what is in them is
`netyard.runtime.logs`. Nothing waits for the shim, which may rename them at any time: a file is
known by its inode.
"""

import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

_CHUNK = 65536
#: No record is as long as this; what is has no newlines by accident.
_LINE_MAX = 4 * _CHUNK
#: As much of a line as has its time.
_HEAD = 30
_TRIES = 20


class LogFile:
    """One file of a log, open. It can still be read when it has been renamed or removed."""

    def __init__(self, fd: int) -> None:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        self._fd = fd
        self.identity = status.st_dev, status.st_ino
        #: How long it was when it was opened.
        self.size = status.st_size
        #: Up to where it has been read.
        self.position = 0
        self._rest = b""

    def close(self) -> None:
        os.close(self._fd)

    def lines(self, end: int | None = None) -> Iterator[bytes]:
        """What is there from the position on, line by line, and no line that has no end yet.

        Args:
            end: Nothing from there on.
        """
        while True:
            most = _CHUNK if end is None else min(_CHUNK, end - self.position)
            chunk = os.pread(self._fd, most, self.position) if most > 0 else b""
            if not chunk:
                return
            self.position += len(chunk)
            *complete, self._rest = (self._rest + chunk).split(b"\n")
            if len(self._rest) > _LINE_MAX:
                self._rest = b""
            yield from complete

    def beginnings(self) -> Iterator[tuple[int, bytes]]:
        """Where its lines begin and with what, from the last to the first."""
        begin, following = self.size, b""
        while begin > 0:
            end, begin = begin, max(0, begin - _CHUNK)
            block = os.pread(self._fd, end - begin, begin)
            known = block + following
            at = len(block)
            while (at := block.rfind(b"\n", 0, at)) >= 0:
                if begin + at + 1 < self.size:
                    yield begin + at + 1, known[at + 1 : at + 1 + _HEAD]
            following = known[:_HEAD]
        if self.size:
            yield 0, following


class OpenLog:
    """All files of a log, the oldest first. A context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = _opened(path)

    def __enter__(self) -> "OpenLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._replace([])

    def to_tail(self, number: int, fits: Callable[[bytes], bool]) -> None:
        """Go to where the last so many lines begin whose heads fit; reads from the end."""
        if number == 0:
            for file in self._files:
                file.position = file.size
            return
        for at, file in reversed(list(enumerate(self._files))):
            for begin, head in file.beginnings():
                if fits(head):
                    number -= 1
                    if number == 0:
                        for earlier in self._files[:at]:
                            earlier.position = earlier.size
                        file.position = begin
                        return

    def present(self) -> Iterator[bytes]:
        """The lines that were there when it was opened."""
        for file in self._files:
            yield from file.lines(file.size)

    def further(self) -> Iterator[bytes]:
        """The lines that have come since, wherever they are by now."""
        while self._files:
            file = self._files[-1]
            # First whether it has been put aside: once it has, nothing is written to it any more.
            is_aside = _identity(self._path) not in (None, file.identity)
            yield from file.lines()
            newer = _after(_opened(self._path), file) if is_aside else []
            if not newer:
                return
            self._replace(newer)
            for each in newer[:-1]:
                yield from each.lines()

    def _replace(self, files: list[LogFile]) -> None:
        for each in self._files:
            each.close()
        self._files = files


def remove(path: Path) -> None:
    """Remove all files of a log."""
    _for_each(path, Path.unlink)


def _names(path: Path) -> Iterator[Path]:
    yield path
    for number in itertools.count(1):
        yield path.with_name(f"{path.name}.{number}")


def _for_each(path: Path, action: Callable[[Path], object]) -> None:
    """Do something with each file of a log, the newest first."""
    # One may just be on its way to its next name.
    missing = 0
    for name in _names(path):
        try:
            action(name)
            missing = 0
        except FileNotFoundError:
            missing += 1
            if missing == 2:
                return


def _opened(path: Path) -> list[LogFile]:
    for _ in range(_TRIES):
        files = _opened_once(path)
        # Otherwise one has been put aside meanwhile, and they may be in another order.
        if not files or _identity(path) == files[-1].identity:
            break
        for each in files:
            each.close()
    else:
        files = _opened_once(path)
    return files


def _opened_once(path: Path) -> list[LogFile]:
    files: dict[tuple[int, int], LogFile] = {}

    def take(name: Path) -> None:
        # A FIFO in its place would be waited for.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(name, flags)
        try:
            file = LogFile(fd)
        except OSError as error:
            os.close(fd)
            error.filename = str(name)
            raise
        if file.identity in files:
            file.close()
        else:
            files[file.identity] = file

    try:
        _for_each(path, take)
    except OSError:
        for each in files.values():
            each.close()
        raise
    return list(files.values())[::-1]


def _after(files: list[LogFile], known: LogFile) -> list[LogFile]:
    """Those after one that has been read; all, if that is there no more."""
    identities = [each.identity for each in files]
    first = identities.index(known.identity) + 1 if known.identity in identities else 0
    for each in files[:first]:
        each.close()
    return files[first:]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
