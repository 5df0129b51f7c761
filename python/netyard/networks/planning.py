"""What a network is asked to be, checked and completed: from what users type to a record.

Looks at the store and at the host's interfaces; makes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netyard.drivers.foundation import Foundation
from netyard.drivers.registry import driver as find_driver
from netyard.drivers.registry import driver_of
from netyard.errors import Forbidden, Invalid, NotFound
from netyard.ipam.allocate import plan_pools
from netyard.ipam.host_subnets import subnets_in_use
from netyard.options import bridge as bridge_options
from netyard.options import common as common_options
from netyard.options import overlay as overlay_options
from netyard.options import parent as parent_options
from netyard.state import config
from netyard.state.config import Config
from netyard.state.random_ids import new_id
from netyard.state.records import EGRESS_NETWORK, MAGIC_GATEWAYS, NetworkRecord
from netyard.state.root import Root
from netyard.values import clock
from netyard.values.parse import Address, Subnet, parse_address, parse_name, parse_subnet
from netyard.values.pool import Pool, with_host_address
from netyard.values.spec import NetworkSpec

RESERVED = ("bridge", "host", "none", "default", EGRESS_NETWORK)
IPAM_DRIVERS = ("default", "dhcp", "null")
SCOPES = {"overlay": "global"}


def plan_network(root: Root, spec: NetworkSpec) -> NetworkRecord:
    """The record of a new network; the caller holds the lock.

    Raises:
        Invalid, Several: for every value that is wrong.
        Forbidden, NotFound, Conflict, SubnetOverlap, Exhausted: as they say.
    """
    parse_name("network name", spec.name)
    if spec.name in RESERVED:
        raise Forbidden(f"network name {spec.name!r} is reserved for a built-in network")
    _check_words(spec)
    settings = config.load(root.layout.root)
    if spec.is_config_only:
        return _plan_config_only(spec)
    if spec.config_from:
        return _plan_from(root, spec, settings)
    return _plan_network(root, spec, settings)


def _check_words(spec: NetworkSpec) -> None:
    """What can be refused without looking at anything else (contract NC10 to NC17)."""
    if spec.is_ingress:
        raise Forbidden(
            "--ingress: there is no swarm and so no routing mesh", hint="publish a port"
        )
    scope = SCOPES.get(spec.driver, "local")
    if spec.scope and spec.scope != scope:
        raise Invalid(
            f"--scope: {spec.scope!r} is not the scope of a {spec.driver} network, which is "
            f"{scope}",
            field="--scope",
            value=spec.scope,
        )
    if spec.ipam_driver not in IPAM_DRIVERS:
        raise NotFound(
            f"--ipam-driver: there is no IPAM driver {spec.ipam_driver!r}; known are "
            + ", ".join(IPAM_DRIVERS)
        )
    for key in spec.labels:
        if not key:
            raise Invalid("--label: a label needs a key", field="--label")
    beside = {
        "--internal": spec.is_internal,
        "--attachable": spec.is_attachable,
        "--scope": spec.scope,
        "--config-from": spec.config_from,
    }
    own = {
        "--subnet": spec.subnets,
        "--gateway": spec.gateways,
        "--ip-range": spec.ip_ranges,
        "--aux-address": spec.auxiliary,
        "--opt": spec.options,
        "--label": spec.labels,
        "--ipam-opt": spec.ipam_options,
        "--ipv6": spec.ipv6,
        "--ipv4=false": spec.ipv4 is False,
    }
    if spec.is_config_only:
        _refuse("--config-only", beside)
    if spec.config_from:
        _refuse("--config-from", own)


def _refuse(flag: str, others: Mapping[str, object]) -> None:
    given = [other for other, value in others.items() if value]
    if given:
        raise Forbidden(f"conflicting options: {', '.join(given)} cannot be used with {flag}")


def _plan_config_only(spec: NetworkSpec) -> NetworkRecord:
    """Settings under a name: nothing is made, nothing is reserved (contract NC16)."""
    subnets = [parse_subnet("--subnet", word) for word in spec.subnets]
    asked = plan_pools(
        subnets=subnets,
        ip_ranges=[parse_subnet("--ip-range", word) for word in spec.ip_ranges],
        gateways=[parse_address("--gateway", word) for word in spec.gateways],
        auxiliary=_auxiliary(spec),
        families=[version for version in (4, 6) if any(s.version == version for s in subnets)],
        networks=(),
        avoid=(),
        sources=(),
        without_gateway=(4, 6),
    )
    ipv6 = spec.ipv6 if spec.ipv6 is not None else any(s.version == 6 for s in subnets)
    return NetworkRecord(
        id=new_id(),
        name=spec.name,
        driver="none",
        created=clock.now(),
        has_ipv4=spec.ipv4 is not False,
        has_ipv6=ipv6,
        options=_any_options(spec.options),
        labels=dict(spec.labels),
        ipam_driver=spec.ipam_driver,
        ipam_options=dict(spec.ipam_options),
        state="ready",
        is_config_only=True,
        pools=asked,
    )


def _any_options(options: Mapping[str, str]) -> dict[str, str]:
    """Options of whatever driver will take the settings."""
    checks = {
        **parent_options.CHECKS["macvlan"],
        **parent_options.CHECKS["ipvlan"],
        **overlay_options.CHECKS,
        **bridge_options.CHECKS,
    }
    return common_options.normalise(options, checks, bridge_options.SHORT_NAMES)


def _plan_from(root: Root, spec: NetworkSpec, settings: Config) -> NetworkRecord:
    """A network from stored settings (contract NC17)."""
    found = [each for each in root.store.find_network(spec.config_from) if each.is_config_only]
    if not found:
        raise NotFound(f"--config-from: there is no config-only network {spec.config_from!r}")
    source = found[0]
    full = spec._replace(
        subnets=[str(pool.subnet) for pool in source.pools],
        gateways=[str(pool.gateway) for pool in source.pools if pool.gateway],
        ip_ranges=[str(pool.ip_range) for pool in source.pools if pool.ip_range],
        auxiliary={name: str(each) for pool in source.pools for name, each in pool.auxiliary},
        ipv4=source.has_ipv4,
        ipv6=source.has_ipv6,
        options=source.options,
        labels=source.labels,
        ipam_driver=source.ipam_driver,
        ipam_options=source.ipam_options,
        config_from="",
    )
    return _plan_network(root, full, settings)._replace(config_from=source.name)


def _plan_network(root: Root, spec: NetworkSpec, settings: Config) -> NetworkRecord:
    driver = find_driver(spec.driver)
    if not driver.is_creatable:
        raise Forbidden(f"--driver: there is only one {spec.driver!r} network, and it exists")
    network_id = new_id()
    defaults = settings.network_options.get(driver.name, {})
    # A package's driver sees the settings here for the first time.
    options = {**driver.normalise(defaults), **driver.normalise(spec.options)}
    foundation = driver.plan(root, spec, options, network_id)
    ipv4, ipv6 = _families(spec, options, foundation.subnets)
    families = [version for version, wanted in ((4, ipv4), (6, ipv6)) if wanted]
    if not families:
        raise Invalid("--ipv4=false needs --ipv6: a network has at least one family")
    auxiliary = _auxiliary(spec)
    _check_magic(auxiliary, is_internal=spec.is_internal)
    reserved = [*auxiliary, *foundation.reserved]
    record = NetworkRecord(
        id=network_id,
        name=spec.name,
        driver=driver.name,
        created=clock.now(),
        is_internal=foundation.is_internal,
        is_attachable=spec.is_attachable,
        has_ipv4=ipv4,
        has_ipv6=ipv6,
        options=foundation.options,
        labels=dict(spec.labels),
        bridge=foundation.bridge,
        state="making",
        ipam_driver=spec.ipam_driver,
        ipam_options=dict(spec.ipam_options),
        is_foreign=foundation.is_foreign,
        vni=foundation.vni,
        underlay=foundation.underlay,
        pools=_pools(root, spec, settings, foundation, reserved, families),
    )
    driver.check(root, record)
    return record


def _families(
    spec: NetworkSpec, options: Mapping[str, str], subnets: Sequence[Subnet]
) -> tuple[bool, bool]:
    """Which families: flags beat options, options beat what the subnets imply (contract NC3)."""
    found = []
    for version, flag, implied in (
        (4, spec.ipv4, True),
        (6, spec.ipv6, any(subnet.version == 6 for subnet in subnets)),
    ):
        option = options.get(common_options.ENABLE[version])
        found.append(flag if flag is not None else implied if option is None else option == "true")
    return found[0], found[1]


def _pools(
    root: Root,
    spec: NetworkSpec,
    settings: Config,
    foundation: Foundation,
    auxiliary: Sequence[tuple[str, Address]],
    families: Sequence[int],
) -> tuple[Pool, ...]:
    ip_ranges = [parse_subnet("--ip-range", word) for word in spec.ip_ranges]
    if spec.ipam_driver == "null":
        _refuse(
            "--ipam-driver null",
            {
                "--subnet": spec.subnets,
                "--gateway": spec.gateways,
                "--ip-range": spec.ip_ranges,
                "--aux-address": spec.auxiliary,
            },
        )
        return ()
    if spec.ipam_driver == "dhcp":
        families = [version for version in families if version == 6 or foundation.subnets_of(4)]
    chooses = len({subnet.version for subnet in foundation.subnets}) < len(families) or any(
        subnet.network_address.is_unspecified for subnet in foundation.subnets
    )
    pools = plan_pools(
        subnets=foundation.subnets,
        ip_ranges=ip_ranges,
        gateways=foundation.gateways,
        auxiliary=auxiliary,
        families=families,
        networks=[
            *(each for each in root.store.networks() if _counts(each, foundation)),
            *foundation.others,
        ],
        avoid=[*subnets_in_use(), *foundation.avoid] if chooses else (),
        sources=foundation.sources or settings.pools,
        without_gateway=foundation.without_gateway,
        may_share=spec.driver in parent_options.KINDS,
    )
    if not foundation.gets_host_address:
        return pools
    # Where addresses are a DHCP server's the host does without one there: it has those it has.
    leased = 4 if spec.ipam_driver == "dhcp" else None
    return tuple(pool if pool.version == leased else with_host_address(pool) for pool in pools)


def _counts(network: NetworkRecord, foundation: Foundation) -> bool:
    """Whether a network of the store has addresses that a new one must keep off.

    Those that span hosts are known better by the cluster, if it was asked.
    """
    return not network.is_config_only and not (foundation.vni and network.spans_hosts)


def _auxiliary(spec: NetworkSpec) -> list[tuple[str, Address]]:
    return [
        (name, parse_address(f"--aux-address {name}={word}", word))
        for name, word in spec.auxiliary.items()
    ]


def _check_magic(auxiliary: Sequence[tuple[str, Address]], *, is_internal: bool) -> None:
    """An auxiliary address that is to be the containers' gateway (contract NC7)."""
    for name, address in auxiliary:
        for version, magic in MAGIC_GATEWAYS.items():
            if name != magic:
                continue
            if is_internal:
                raise Invalid(
                    f"--aux-address: {name} makes no sense with --internal: there is no way out",
                    field="--aux-address",
                )
            if address.version != version:
                raise Invalid(
                    f"--aux-address: {name}={address} is no IPv{version} address",
                    field="--aux-address",
                )


def find_warnings(record: NetworkRecord) -> list[str]:
    """What is allowed and will not work as its user may think."""
    return driver_of(record).warnings(record)
