"""JSON that people have written, read as far as JSON goes: files, and values of a command line.

Python's own reader takes more than JSON has (``NaN``, halves of surrogate pairs) and fails in other
ways than by its own error for numbers of thousands of digits, for thousands of brackets, and for
bytes that are no text.
"""

import json
from pathlib import Path
from typing import Any, NoReturn

from netyard.errors import Invalid
from netyard.state.small_files import read_small


def read_object(path: Path) -> dict[str, Any]:
    """The object that a file holds.

    Args:
        path: The file.

    Raises:
        Invalid: if it is no JSON object, naming the file, and the line where that is known.
        OSError: if it cannot be read.
    """
    data = read_small(path)
    try:
        found = parse(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _wrong(path, line, "it is no UTF-8") from error
    except json.JSONDecodeError as error:
        raise _wrong(path, error.lineno, str(error)) from error
    except ValueError as error:
        raise _wrong(path, 1, str(error)) from error
    if not isinstance(found, dict):
        raise Invalid(f"{path}: must hold a JSON object", field=path.name)
    return found


def parse(text: str) -> Any:
    """A value of JSON.

    Raises:
        ValueError: if it is none.
    """
    try:
        found = _READER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if "\\u" in text:
        _refuse_surrogates(found)
    return found


def _whole(digits: str) -> int:
    if len(digits) > 100:
        raise ValueError("a number has more than 100 digits")
    return int(digits)


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no value")


def _refuse_surrogates(found: Any) -> None:
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a text holds half of a surrogate pair") from None


_READER = json.JSONDecoder(parse_int=_whole, parse_constant=_refuse)


def _wrong(path: Path, line: int, why: str) -> Invalid:
    return Invalid(f"{path}, line {line}: no JSON: {why}", field=path.name)
