"""Files that others may have put there: read at once, in part, or refused in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netyard.cli.environment import parse_environment, read_env_file
from netyard.errors import Invalid
from netyard.state.small_files import LIMIT_BYTES, read_small


def test_only_small_regular_files_are_read(tmp_path: Path) -> None:
    """B3: nothing else is opened."""
    file, fifo = tmp_path / "file", tmp_path / "fifo"
    file.write_bytes(b"x" * LIMIT_BYTES)
    assert len(read_small(file)) == LIMIT_BYTES
    file.write_bytes(b"x" * (LIMIT_BYTES + 1))
    os.mkfifo(fifo)
    refused = {file: "more than 1 MiB", fifo: "no regular file", tmp_path: "no regular file"}
    for path, reason in {**refused, Path("/dev/zero"): "no regular file"}.items():
        with pytest.raises(OSError, match=reason):
            read_small(path, accepts_pipe=True)


def test_a_pipe_that_is_passed_on_is_read() -> None:
    """B3: what a shell makes of `<(command)`, to its end."""
    ours, theirs = os.pipe()
    os.write(theirs, b"A=1\n")
    os.close(theirs)
    assert read_env_file(f"/dev/fd/{ours}") == ["A=1"]
    with pytest.raises(OSError, match="no regular file"):
        read_small(f"/dev/fd/{ours}")
    os.close(ours)


@settings(deadline=None)
@given(
    st.one_of(
        st.binary(max_size=80), st.text(alphabet="A=1 #\n\r\0\x0b\x0c\x85\u2028é").map(str.encode)
    )
)
def test_any_list_of_variables(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """C7: variables without NUL, one a line, or one sentence that names the file."""
    path = tmp_path_factory.getbasetemp() / "variables"
    path.write_bytes(data)
    try:
        found = parse_environment(read_env_file(str(path)), {})
    except Invalid as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
    else:
        assert "\0" not in "".join([*found, *found.values()])
        assert len(found) <= data.count(b"\n") + 1
