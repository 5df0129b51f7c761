"""What driver packages may use of netyard: with `netyard.errors` all that stays as it is.

Everything else below ``netyard`` may change with any version. How to write a driver is told in
``docs/drivers.md``.
"""

from __future__ import annotations

from netyard._core import (
    Link,
    create_namespace,
    delete_links,
    knows_link_kind,
    list_links,
    make_mount_point,
    release_namespace,
    write_sysctls,
)
from netyard.drivers.base import Driver, EndpointPlan
from netyard.drivers.bridge.driver import BridgeDriver
from netyard.drivers.foundation import Foundation
from netyard.drivers.interface import addresses_of, opened_namespaces, sysctls_of
from netyard.options.common import CHECKS as COMMON_CHECKS
from netyard.options.common import SHORT_NAMES as COMMON_SHORT_NAMES
from netyard.options.common import boolean, check_mtu, mtu_of, normalise, number, one_of
from netyard.state.records import EndpointRecord, NetworkRecord
from netyard.state.root import Root
from netyard.values.parse import Address, Subnet
from netyard.values.spec import NetworkSpec
from netyard.values.subnet_pools import Source

__all__ = [
    "COMMON_CHECKS",
    "COMMON_SHORT_NAMES",
    "Address",
    "BridgeDriver",
    "Driver",
    "EndpointPlan",
    "EndpointRecord",
    "Foundation",
    "Link",
    "NetworkRecord",
    "NetworkSpec",
    "Root",
    "Source",
    "Subnet",
    "addresses_of",
    "boolean",
    "check_mtu",
    "create_namespace",
    "delete_links",
    "knows_link_kind",
    "list_links",
    "make_mount_point",
    "mtu_of",
    "normalise",
    "number",
    "one_of",
    "opened_namespaces",
    "release_namespace",
    "sysctls_of",
    "write_sysctls",
]
