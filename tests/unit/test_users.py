"""Users of a container: found in its own files, and never one that the kernel takes for root."""

from __future__ import annotations

from pathlib import Path

import pytest

from netyard.api import arguments
from netyard.errors import Invalid
from netyard.runtime.users import parse_user

# What setresuid(2) takes for "as before", and what it cannot be given.
NONE = ("4294967295", "4294967296", "-1", "9" * 5000)


@pytest.fixture
def rootfs(tmp_path: Path) -> str:
    """Files of a container in which some numbers are none."""
    (tmp_path / "etc").mkdir()
    users = ["root:0:0", "web:33:34", "last:4294967294:4294967294", "odd:x:0"]
    users += [f"user{at}:{number}:0" for at, number in enumerate(NONE)]
    users += [f"member{at}:5:{number}" for at, number in enumerate(NONE)]
    users += [f"further{at}:{50 + at}:6" for at in range(len(NONE))]
    lines = [f"{name}:x:{rest}::/:/bin/sh" for name, _, rest in (u.partition(":") for u in users)]
    (tmp_path / "etc/passwd").write_text("\n".join(lines))
    groups = ["www:x:34:", "extra:x:70:web,last"]
    groups += [f"group{at}:x:{number}:further{at}" for at, number in enumerate(NONE)]
    (tmp_path / "etc/group").write_text("\n".join(groups))
    return str(tmp_path)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", ""),
        ("web", "33:34,70"),
        ("33", "33:34,70"),
        ("web:www", "33:34"),
        ("web:9", "33:9"),
        ("7", "7:0"),
        ("last", "4294967294:4294967294,70"),
        ("4294967294:4294967294", "4294967294:4294967294"),
    ],
)
def test_users_are_found(rootfs: str, asked: str, found: str) -> None:
    """By name or number, with their groups."""
    assert parse_user(asked, rootfs) == found


@pytest.mark.parametrize("number", NONE, ids=[each[:10] for each in NONE])
def test_numbers_that_no_process_can_have(rootfs: str, number: str) -> None:
    """Typed, as a number of Python, or in the container's files: refused, not taken for root."""
    at = NONE.index(number)
    for asked in (
        *(number, f"{number}:0", f"web:{number}", f"7:{number}", f"{number}:{number}"),
        *(f"user{at}", f"member{at}", f"further{at}", f"web:group{at}"),
    ):
        with pytest.raises(Invalid, match="must be a number from 0 to 4294967294") as caught:
            parse_user(asked, rootfs)
        assert "\n" not in str(caught.value)
    for given in (number,) if len(number) > 100 else (number, int(number)):
        with pytest.raises(Invalid, match="from 0 "):
            arguments.user(given, rootfs)


def test_a_number_that_is_none(rootfs: str) -> None:
    """A damaged line is an error with a name, too."""
    with pytest.raises(Invalid, match="'x', the number of user 'odd' in the container, must be"):
        parse_user("odd", rootfs)


@pytest.mark.parametrize("mark", ["\v", "\f", "\r", "\x1c", "\x1e", "\x85", "\u2028"])
def test_a_line_ends_where_libc_ends_it(tmp_path: Path, mark: str) -> None:
    """A user may write what they like into the field of their full name, but for `:` and newlines."""
    (tmp_path / "etc").mkdir()
    forged = f"web:x:33:34:Jo{mark}admin:x:0:0:,,:/:/bin/sh\nmail:x:8:8::/:/bin/sh\n"
    (tmp_path / "etc/passwd").write_text(forged, newline="")
    (tmp_path / "etc/group").write_text(f"a:x:5:b{mark}root:x:0:mail\n", newline="")
    assert parse_user("mail", str(tmp_path)) == "8:8"
    for asked in ("admin", "mail:root"):
        with pytest.raises(Invalid, match="there is no"):
            parse_user(asked, str(tmp_path))
