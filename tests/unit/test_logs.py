"""Logs as they are read: from the end, by time, while files are put aside."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netyard.errors import Invalid
from netyard.runtime import log_files, logs
from netyard.values import clock
from netyard.values.log_options import DEFAULTS, LogLimits, log_limits, parse_log_words

_BEGUN = 1_700_000_000_000_000_000


def _line(number: int, text: str = "", tag: str = "F") -> str:
    return f"{clock.show(_BEGUN + number)} stdout {tag} {text or number}\n"


def _write(path: Path, numbers: range) -> None:
    with path.open("a") as file:
        file.writelines(map(_line, numbers))


def _rotate(path: Path, keep: int) -> None:
    """What the shim does, in its order."""
    for number in range(keep - 2, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of 30 lines in three files."""
    path = tmp_path / "log"
    for begin in (0, 10, 20):
        if begin:
            _rotate(path, 3)
        _write(path, range(begin, begin + 10))
    return path


def _shown(records: Iterator[logs.LogRecord]) -> list[int]:
    return [int(each.data) for each in records]


def test_all_files_are_one_log(log: Path) -> None:
    """The oldest first; a missing one, just being renamed, is no end."""
    assert _shown(logs.read(log)) == list(range(30))
    log.with_name("log.1").unlink()
    assert _shown(logs.read(log)) == [*range(10), *range(20, 30)]
    log.unlink()
    assert _shown(logs.read(log)) == []
    assert list(logs.read(log.with_name("none"))) == []


@pytest.mark.parametrize("tail", range(33))
def test_tail(log: Path, tail: int) -> None:
    """As many as asked for, from whichever file; with times those that fit them."""
    assert _shown(logs.read(log, tail=tail)) == list(range(30))[30 - min(tail, 30) :]
    some = list(range(5, 25))
    times = {"since_ns": _BEGUN + 5, "until_ns": _BEGUN + 24}
    assert _shown(logs.read(log, tail=tail, **times)) == some[20 - min(tail, 20) :]


def test_times(log: Path) -> None:
    """To the nanosecond, both ends included."""
    assert _shown(logs.read(log, since_ns=_BEGUN + 12)) == list(range(12, 30))
    assert _shown(logs.read(log, until_ns=_BEGUN + 12)) == list(range(13))
    assert _shown(logs.read(log, since_ns=_BEGUN + 31)) == []


@pytest.mark.parametrize("length", [1, 50, 65_450, 65_460, 65_470, 65_480, 65_490, 200_000])
def test_lines_that_meet_ends_of_blocks(tmp_path: Path, length: int) -> None:
    """Whatever lies where a block of the file ends."""
    path = tmp_path / "log"
    texts = [f"{number}".ljust(length if number % 3 else 7, "x") for number in range(40)]
    path.write_text("".join(_line(number, text) for number, text in enumerate(texts)))
    for tail in (1, 2, 3, 5, 39, 40, 41):
        wanted = texts[-tail:]
        found = [each.data.decode().rstrip("\n") for each in logs.read(path, tail=tail)]
        assert found == wanted
        found = [
            each.data.decode().rstrip("\n") for each in logs.read(path, tail=tail, since_ns=_BEGUN)
        ]
        assert found == wanted


def test_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    """Damage, other files, a record that is just being written."""
    path = tmp_path / "log"
    junk = (
        b"\n\xff\xfe junk\n" + b"2026 st\xffout F x\n" + b"\xff\xff stdout F x\n" + b"x" * 900_000
    )
    path.write_bytes(_line(1).encode() + junk + b"\n" + _line(2, tag="P").encode() + b"2026-11")
    found = list(logs.read(path))
    assert [each.data for each in found] == [b"1\n", b"2"], "a part has no newline"
    assert [each.data for each in logs.read(path, tail=9)] == [b"1\n", b"2"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Whoever can write to the directory of logs does not choose what is read."""
    (tmp_path / "elsewhere").write_text(_line(1))
    (tmp_path / "log").symlink_to("elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        list(logs.read(tmp_path / "log"))


def test_following_across_files(tmp_path: Path) -> None:
    """Nothing twice and nothing left out, however often the file is put aside meanwhile."""
    path = tmp_path / "log"
    _write(path, range(5))
    steps = itertools.count()
    written = 5

    def goes_on() -> bool:
        nonlocal written
        step = next(steps)
        # From none to three files between two looks.
        for _ in range(step % 4):
            _write(path, range(written, written + 3))
            _rotate(path, 9)
            written += 3
        _write(path, range(written, written + step % 2))
        written += step % 2
        return step < 40

    assert _shown(logs.read(path, follow=goes_on)) == list(range(written))
    steps, before = itertools.count(38), written
    assert _shown(logs.read(path, tail=2, follow=goes_on)) == list(range(before - 2, written))


def test_half_a_record_is_waited_for(tmp_path: Path) -> None:
    """A reader may see a record while it is written."""
    path = tmp_path / "log"
    whole = _line(1) + _line(2)
    path.write_text(whole[:-5])
    steps = itertools.count()

    def goes_on() -> bool:
        step = next(steps)
        if step == 2:
            with path.open("a") as file:
                file.write(whole[-5:])
        return step < 5

    assert _shown(logs.read(path, follow=goes_on)) == [1, 2]


def test_following_a_writer(tmp_path: Path) -> None:
    """Against a thread that writes and puts aside, as fast as it can."""
    path = tmp_path / "log"
    _write(path, range(1))
    ended = threading.Event()

    def write() -> None:
        for begin in range(1, 20_001, 100):
            _write(path, range(begin, begin + 100))
            _rotate(path, 1000)
        _write(path, range(20_001, 20_002))
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert _shown(logs.read(path, follow=lambda: not ended.is_set())) == list(range(20_002))
    writer.join()


def test_removal(log: Path) -> None:
    """All its files, and no other's."""
    log.with_name("log2").touch()
    log.with_name("log.1").unlink()
    log_files.remove(log)
    assert [each.name for each in log.parent.iterdir()] == ["log2"]


_READ = """
import itertools, sys
from pathlib import Path
from netyard.runtime import logs
words = dict(tail=5) if sys.argv[2] == "tail" else {}
if sys.argv[2] == "times":
    words = dict(tail=3, since_ns=0)
print(sum(1 for _ in logs.read(Path(sys.argv[1]), **words)))
status = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize(("what", "count"), [("tail", 5), ("times", 3), ("all", 300_000)])
def test_memory_is_constant(tmp_path: Path, what: str, count: int) -> None:
    """B4: of a log of 300 MB less than 30 MB are in memory, to its last line or in whole."""
    path = tmp_path / "log"
    piece = "".join(_line(number, "x" * 1000) for number in range(10_000))
    with path.open("w") as file:
        for _ in range(30):
            file.write(piece)
    assert path.stat().st_size > 300_000_000
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(path), what], capture_output=True, text=True, check=True
    )
    read, kibibytes = map(int, done.stdout.split())
    assert read == count
    assert kibibytes < 30_000


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({}, LogLimits(10_000_000, 3)),
        (DEFAULTS, LogLimits(10_000_000, 3)),
        ({"max-size": "500k"}, LogLimits(500_000, 3)),
        ({"max-size": "1.5 KB", "max-file": "1"}, LogLimits(1500, 1)),
        ({"max-size": "2G"}, LogLimits(2_000_000_000, 3)),
        ({"max-size": "-1"}, LogLimits(None, 3)),
        ({"max-size": "unlimited", "max-file": "1000"}, LogLimits(None, 1000)),
        ({"max-size": "7"}, LogLimits(7, 3)),
    ],
)
def test_options(options: dict[str, str], limits: LogLimits) -> None:
    """Docker's words: decimal units, as its own log drivers have them."""
    assert log_limits(options) == limits


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("max-size", each) for each in ("", "0", "0.4", "-2", "10x", "m", "1e9", "9" * 5000)),
        *(("max-file", each) for each in ("", "0", "-1", "3.5", "1001", "9" * 5000, "²")),
        *((each, "1") for each in ("compress", "tag", "Max-Size", "")),
    ],
)
def test_bad_options_are_named(key: str, value: str) -> None:
    """One sentence each: the word, and what would be right."""
    with pytest.raises(Invalid, match=r"--log-opt: .* must be ") as caught:
        log_limits({key: value})
    assert repr(value) in str(caught.value) or repr(key) in str(caught.value)


def test_words_of_a_command_line() -> None:
    """One option a word, or several."""
    assert parse_log_words(("max-size=1m", "max-file=2")) == {"max-size": "1m", "max-file": "2"}
    assert parse_log_words(("max-size=1m,max-file=2",)) == {"max-size": "1m", "max-file": "2"}
    with pytest.raises(Invalid, match="'max-size' must be KEY=VALUE"):
        parse_log_words(("max-size",))


def test_what_is_no_file_is_not_opened_for_long(tmp_path: Path) -> None:
    """A FIFO would be waited for, and of a device nothing is known."""
    path = tmp_path / "log"
    os.mkfifo(path)
    with pytest.raises(OSError, match="no regular file") as caught:
        list(logs.read(path))
    assert caught.value.filename == str(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="no regular file"):
        list(logs.read(path))
