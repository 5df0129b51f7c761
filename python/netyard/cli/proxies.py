"""The user's proxy settings for containers (contract PX1 to PX6). Reads files, changes nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netyard.errors import Invalid
from netyard.state.json_file import read_object

# Later files win; Docker's is read so that nobody has to write it twice.
_FILES = (".docker/config.json", ".netyard/config.json")
_VARIABLES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "ftpProxy": "FTP_PROXY",
    "noProxy": "NO_PROXY",
    "allProxy": "ALL_PROXY",
}


def proxy_environment(home: Path | None = None) -> dict[str, str]:
    """Variables for a new container, each in upper and lower case.

    Netyard's own file counts if it has proxies at all, Docker's otherwise.

    Raises:
        Invalid: for a file that is malformed, naming file and line.
    """
    base = home or Path(os.environ.get("HOME", "/root"))
    chosen: Mapping[str, Any] = {}
    for name in _FILES:
        found = _default_proxies(base / name)
        chosen = found if found else chosen
    environment = {}
    for field, variable in _VARIABLES.items():
        if value := chosen.get(field):
            environment[variable] = environment[variable.lower()] = value
    return environment


def _default_proxies(path: Path) -> dict[str, str]:
    try:
        settings = read_object(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}", field=str(path)) from error
    proxies = settings.get("proxies", {})
    default = proxies.get("default", {}) if isinstance(proxies, dict) else None
    if not isinstance(default, dict) or not all(
        isinstance(value, str) and not re.search(r"[\0\n]", value) for value in default.values()
    ):
        raise Invalid(f"{path}: proxies.default must be an object of texts", field=str(path))
    return default
