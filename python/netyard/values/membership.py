"""How this host takes part in a cluster: where its etcd is, and this host's identity there. Pure.

Kept under ``cluster`` in the root's ``config.json``; variables of the environment win.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from netyard.errors import Invalid, NetyardError, raise_all, shown
from netyard.values.parse import parse_address, parse_name

KEY = "cluster"
LEASE_SECONDS = 30
_LEASE_MIN, _LEASE_MAX = 5, 3600
#: The settings of a membership, and the variables of the environment that stand before them.
VARIABLES = {
    "etcd": "NETYARD_ETCD",
    "ca": "NETYARD_ETCD_CA",
    "cert": "NETYARD_ETCD_CERT",
    "key": "NETYARD_ETCD_KEY",
    "advertise": "NETYARD_ADVERTISE",
    "name": "NETYARD_HOST_NAME",
    "lease": "NETYARD_HOST_LEASE",
}


class Access(NamedTuple):
    """How etcd is reached.

    Attributes:
        etcd: URLs of its members.
        ca, cert, key: PEM files: certificate of its authority, this host's certificate, its key.
    """

    etcd: tuple[str, ...]
    ca: str = ""
    cert: str = ""
    key: str = ""


class Membership(NamedTuple):
    """A host's part in a cluster.

    Attributes:
        advertise: The address other hosts send to.
        name: What it is called among them.
        lease_seconds: How long it may be silent before its containers are given up.
    """

    access: Access
    advertise: str
    name: str
    lease_seconds: int = LEASE_SECONDS

    def to_settings(self) -> dict[str, Any]:
        """As the config file keeps it."""
        files = {name: value for name in ("ca", "cert", "key") if (value := self._file(name))}
        return {
            "etcd": list(self.access.etcd),
            **files,
            "advertise": self.advertise,
            "name": self.name,
            "lease": self.lease_seconds,
        }

    def _file(self, name: str) -> str:
        return str(getattr(self.access, name))


def parse(field: str, found: Mapping[str, Any]) -> Membership:
    """Check a membership, all of it at once."""
    errors: list[NetyardError] = []

    def collect(check: Any, *values: Any) -> Any:
        try:
            return check(*values)
        except NetyardError as error:
            errors.append(error)

    unknown = sorted(set(found) - set(VARIABLES))
    if unknown:
        errors.append(Invalid(f"{field}: {unknown[0]!r} is no setting of a cluster", field=field))
    given = found["etcd"]
    urls = list(map(str, given)) if isinstance(given, list) else str(given).split(",")
    for url in urls:
        collect(_check_url, url)
    advertise = collect(parse_address, "--advertise", str(found.get("advertise", "")))
    name = collect(parse_name, "host name", str(found.get("name", "")))
    seconds = collect(_seconds, found.get("lease", LEASE_SECONDS))
    files = {each: str(found.get(each, "")) for each in ("ca", "cert", "key")}
    if bool(files["cert"]) != bool(files["key"]):
        errors.append(Invalid("--cert and --key: a certificate needs its key", field="--cert"))
    raise_all(errors)
    access = Access(etcd=tuple(urls), **files)
    return Membership(access=access, advertise=str(advertise), name=name, lease_seconds=seconds)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        is_more = bool(parts.path.strip("/") or parts.query)
    except ValueError:
        is_one, is_more = False, False
    # `urlsplit` passes over what is no part of an address, such as ends of lines.
    if not is_one or is_more or not re.fullmatch("[!-~]+", url):
        raise Invalid(
            f"--etcd: {url!r} is no address of an etcd such as https://10.0.0.1:2379",
            field="--etcd",
            value=url,
        )


def _seconds(value: Any) -> int:
    try:
        seconds = int(value)
    except (OverflowError, TypeError, ValueError):
        seconds = 0
    if not _LEASE_MIN <= seconds <= _LEASE_MAX:
        raise Invalid(
            f"--lease: {shown(value)} must be a number of seconds from {_LEASE_MIN} to "
            f"{_LEASE_MAX}",
            field="--lease",
            value=value,
        )
    return seconds
