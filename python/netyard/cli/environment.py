"""Variables for a container: ``--env`` and ``--env-file``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netyard.errors import Invalid
from netyard.state.small_files import read_small


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
        return read_small(path, accepts_pipe=True).decode("utf-8-sig")
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
    if "\0" in word:
        raise Invalid(f"{field}: {word!r} must not hold a NUL character", field=field, value=word)
    if not key or any(letter.isspace() for letter in key):
        raise Invalid(f"{field}: {word!r} has no valid name before '='", field=field, value=word)
