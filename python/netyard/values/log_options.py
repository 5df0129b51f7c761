"""``--log-driver`` and ``--log-opt``: how much of what a container writes is kept."""

import re
from collections.abc import Mapping

from netyard.errors import Invalid
from netyard.values.named import NamedTuple

DRIVERS = ("json-file", "none")
#: What holds where nothing is asked for.
DEFAULTS: Mapping[str, str] = {"max-size": "10m", "max-file": "3"}

_FIELD = "--log-opt"
# Not compiled: this module is on the way of each `run`.
_SIZE = r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ?([kmgt]?)b?"
# Decimal, as in Docker's own log options: 10m are 10,000,000 bytes.
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_MOST_FILES = 1000


class LogLimits(NamedTuple):
    """How much of a log is kept.

    Attributes:
        max_size: How many bytes a file may have; ``None`` for any number.
        max_file: How many files, the newest included.
    """

    max_size: int | None
    max_file: int


# What `DEFAULTS` say.
_BY_DEFAULT = LogLimits(10_000_000, 3)


def parse_log_words(words: tuple[str, ...]) -> dict[str, str]:
    """``KEY=VALUE`` words of a command line; one may hold several, with commas between them."""
    found = {}
    for word in (each for given in words for each in given.split(",")):
        key, separator, value = word.partition("=")
        if not separator:
            raise Invalid(
                f"{_FIELD}: {word!r} must be KEY=VALUE, such as max-size=10m",
                field=_FIELD,
                value=word,
            )
        found[key] = value
    return found


def check_log_driver(driver: str) -> str:
    """The driver, if there is one such: empty for the default."""
    if driver and driver not in DRIVERS:
        raise Invalid(
            f"--log-driver: {driver!r} must be one of {', '.join(DRIVERS)}",
            field="--log-driver",
            value=driver,
        )
    return driver


def log_limits(options: Mapping[str, str]) -> LogLimits:
    """What options say, and the defaults where they say nothing.

    Raises:
        Invalid: for an option that there is not, or a value that it cannot have.

    Example:
        >>> log_limits({"max-size": "1.5k"})
        LogLimits(max_size=1500, max_file=3)
    """
    if not options:
        return _BY_DEFAULT
    for key in options:
        if key not in DEFAULTS:
            raise Invalid(
                f"{_FIELD}: {key!r} must be one of {', '.join(DEFAULTS)}", field=_FIELD, value=key
            )
    wanted = {**DEFAULTS, **options}
    return LogLimits(_size(wanted["max-size"]), _count(wanted["max-file"]))


def _size(text: str) -> int | None:
    if text in ("-1", "unlimited"):
        return None
    found = re.fullmatch(_SIZE, text, re.IGNORECASE)
    size = int(float(found[1]) * _UNITS[found[2].lower()]) if found else 0
    if size < 1:
        raise Invalid(
            f"{_FIELD}: max-size: {text!r} must be a number of bytes such as 500k, 10m or 1g, "
            "or -1 for any number",
            field=_FIELD,
            value=text,
        )
    return size


def _count(text: str) -> int:
    number = int(text) if re.fullmatch(r"[0-9]{1,4}", text) else 0
    if not 1 <= number <= _MOST_FILES:
        raise Invalid(
            f"{_FIELD}: max-file: {text!r} must be a number of files from 1 to {_MOST_FILES}",
            field=_FIELD,
            value=text,
        )
    return number
