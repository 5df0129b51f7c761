"""Variables for a container: ``--env`` and ``--env-file``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from netyard.errors import Invalid

# More than the kernel takes for the variables of a process, by default.
_MOST_BYTES = 4 * 1024 * 1024


def read_env_file(path: str) -> list[str]:
    """``KEY=VALUE`` or ``KEY`` lines of a file; blank lines and those with ``#`` first are skipped.

    Raises:
        Invalid: if it cannot be read, or a line has no key, naming the line.
    """
    field = "--env-file"
    words = []
    # Not `splitlines`, which takes other characters for ends of lines.
    for number, line in enumerate(_read(field, path).split("\n"), start=1):
        bare = line.removesuffix("\r").lstrip()
        if not bare or bare.startswith("#"):
            continue
        try:
            _check(field, bare)
        except Invalid as error:
            raise Invalid(f"{error} (line {number} of {path})", field=field) from None
        words.append(bare)
    return words


def _read(field: str, path: str) -> str:
    try:
        # It may be a pipe, which may have no end.
        with Path(path).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise Invalid(f"{field}: {path} is longer than {_MOST_BYTES} bytes", field=field)
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise Invalid(f"{field}: {path} cannot be read: {reason}", field=field) from error


def parse_environment(words: Iterable[str], own: Mapping[str, str]) -> dict[str, str]:
    """Variables by name; a word without ``=`` takes the value of ``own``, if there is one."""
    found: dict[str, str] = {}
    for word in words:
        _check("--env", word)
        key, separator, value = word.partition("=")
        if separator or key in own:
            found[key] = value if separator else own[key]
    return found


def _check(field: str, word: str) -> None:
    key = word.partition("=")[0]
    if not key or any(letter.isspace() or letter == "\0" for letter in key):
        raise Invalid(f"{field}: {word!r} has no valid name before '='", field=field, value=word)
