"""A driver of another package, held to the contract: whatever it does wrong is a `DriverError`.

Its own `NetyardError`s are for the user and pass as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

from netyard.drivers.base import Driver, EndpointPlan
from netyard.drivers.foundation import Foundation
from netyard.errors import DriverError, Invalid, NetyardError
from netyard.options.common import parse_ifname
from netyard.state.records import EndpointRecord, NetworkRecord
from netyard.state.root import Root
from netyard.values.spec import NetworkSpec
from netyard.values.subnet_pools import Source

# What a class that is no subclass of `Driver` may leave out: these make nothing.
_OPTIONAL = ("normalise", "plan", "check", "warnings", "devices")
_NEEDED = ("create", "remove", "attach", "detach", "let_go", "restore")


def guarded(name: str, package: str, driver: object) -> Guarded:
    """A driver of a package, ready for use.

    Raises:
        DriverError: if it lacks methods, or was written for a netyard of another contract.
    """
    about = f"driver {name!r} of package {package!r}"
    missing = [each for each in _NEEDED if not callable(getattr(driver, each, None))]
    if missing:
        shown = ", ".join(f"{each}()" for each in missing)
        raise DriverError(
            f"{about} lacks {shown}",
            driver=name,
            package=package,
            hint="a subclass of netyard.drivers.kit.Driver has all methods",
        )
    device = getattr(driver, "device", "")
    if device and getattr(type(driver), "plan", Driver.plan) is Driver.plan:
        raise DriverError(
            f"{about} was written for an older netyard: it names its device {device!r} and has no "
            "plan() to say which device a network gets",
            driver=name,
            package=package,
            hint="install a newer version of the package",
        )
    return Guarded(name, package, driver)


def describe(error: BaseException) -> str:
    """An exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Guarded(Driver):
    """A driver of another package; see `Driver` for what the methods do."""

    def __init__(self, name: str, package: str, driver: object) -> None:
        self.name = name
        self.is_creatable = bool(getattr(driver, "is_creatable", True))
        self._package = package
        self._driver = driver

    def normalise(self, options: Mapping[str, str]) -> dict[str, str]:
        """See `Driver.normalise`."""
        found = self._call("normalise", "", options)
        if not _are_words(found):
            raise self._error(f"normalise() returned {found!r}, not a mapping of words to words")
        return dict(found)

    def plan(
        self, root: Root, spec: NetworkSpec, options: Mapping[str, str], network_id: str
    ) -> Foundation:
        """See `Driver.plan`."""
        if spec.ipam_driver == "dhcp":
            raise Invalid(
                f"--ipam-driver: netyard asks no DHCP server for networks of driver {self.name!r}: "
                "use macvlan",
                field="--ipam-driver",
            )
        found = self._call("plan", spec.name, root, spec, options, network_id)
        if not isinstance(found, Foundation):
            raise self._error(f"plan() returned {found!r}, not a Foundation")
        for field, is_right in _FIELDS.items():
            value = getattr(found, field)
            if not is_right(value):
                raise self._error(f"plan() returned a Foundation with {field}={value!r}")
        holder = root.store.holder_of_bridge(found.bridge) if found.bridge else None
        if holder is not None:
            raise self._error(f"plan() chose {found.bridge!r}, which network {holder!r} has")
        return found

    def check(self, root: Root, network: NetworkRecord) -> None:
        """See `Driver.check`."""
        self._call("check", network.name, root, network)

    def warnings(self, network: NetworkRecord) -> list[str]:
        """See `Driver.warnings`."""
        return self._words("warnings", network)

    def devices(self, network: NetworkRecord) -> list[str]:
        """See `Driver.devices`."""
        return self._words("devices", network)

    def create(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.create`."""
        self._call("create", _names(networks), networks)

    def remove(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.remove`."""
        self._call("remove", _names(networks), networks)

    def attach(self, plans: Sequence[EndpointPlan]) -> None:
        """See `Driver.attach`."""
        self._call("attach", _names([plan.network for plan in plans]), plans)

    def detach(
        self, network: NetworkRecord, endpoints: Sequence[EndpointRecord], namespaces: Path
    ) -> None:
        """See `Driver.detach`."""
        self._call("detach", network.name, network, endpoints, namespaces)

    def let_go(
        self, network: NetworkRecord, endpoints: Sequence[EndpointRecord], namespaces: Path
    ) -> None:
        """See `Driver.let_go`."""
        self._call("let_go", network.name, network, endpoints, namespaces)

    def restore(self, network: NetworkRecord, plans: Sequence[EndpointPlan]) -> None:
        """See `Driver.restore`."""
        self._call("restore", network.name, network, plans)

    def _call(self, method: str, about: str, *arguments: object) -> Any:
        called = getattr(self._driver, method, None)
        try:
            if called is None and method in _OPTIONAL:
                return getattr(super(), method)(*arguments)
            return called(*arguments)  # type: ignore[misc]
        except NetyardError:
            raise
        except Exception as error:
            where = f"{method}()" + (f" for network {about!r}" if about else "")
            raise self._error(f"failed in {where}: {describe(error)}") from error

    def _words(self, method: str, network: NetworkRecord) -> list[str]:
        found = self._call(method, network.name, network)
        if not _is_list_of(str)(found):
            raise self._error(f"{method}() returned {found!r}, not a list of words")
        return list(found)

    def _error(self, what: str) -> DriverError:
        return DriverError(
            f"driver {self.name!r} of package {self._package!r}: {what}",
            driver=self.name,
            package=self._package,
        )


def _names(networks: Sequence[NetworkRecord]) -> str:
    return ", ".join(dict.fromkeys(network.name for network in networks))


def _are_words(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(word, str) for pair in value.items() for word in pair
    )


def _is_list_of(*kinds: type) -> Callable[[object], bool]:
    def is_right(value: object) -> bool:
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        return is_list and all(isinstance(each, kinds) for each in value)  # type: ignore[attr-defined]

    return is_right


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_device(value: object) -> bool:
    try:
        return isinstance(value, str) and (not value or bool(parse_ifname("", value)))
    except Invalid:
        return False


def _are_reserved(value: object) -> bool:
    return _is_list_of(tuple)(value) and all(
        len(each) == 2 and isinstance(each[0], str) and isinstance(each[1], _ADDRESSES)
        for each in value  # type: ignore[attr-defined]
    )


def _are_versions(value: object) -> bool:
    return isinstance(value, Sequence) and all(each in (4, 6) for each in value)


_ADDRESSES = (IPv4Address, IPv6Address)
_SUBNETS = _is_list_of(IPv4Network, IPv6Network)
_FIELDS: dict[str, Callable[[object], bool]] = {
    "options": _are_words,
    "bridge": _is_device,
    "is_foreign": _is_bool,
    "is_internal": _is_bool,
    "subnets": _SUBNETS,
    "gateways": _is_list_of(*_ADDRESSES),
    "reserved": _are_reserved,
    "without_gateway": _are_versions,
    "gets_host_address": _is_bool,
    "others": _is_list_of(NetworkRecord),
    "avoid": _SUBNETS,
    "sources": _is_list_of(Source),
    # Networks that span hosts are the cluster's, which knows overlays only.
    "vni": lambda value: value == 0,
    "underlay": lambda value: value == "",
}
