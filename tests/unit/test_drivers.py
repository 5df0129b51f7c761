"""Drivers of other packages: how they are found, and what becomes of those that are wrong."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import netyard
from driver_packages import EXAMPLE, Site
from netyard.drivers import kit, packages, registry
from netyard.drivers.guard import guarded
from netyard.errors import DriverError, Invalid, NotFound
from netyard.state.records import NetworkRecord
from netyard.values.spec import NetworkSpec

ROOT = Path(__file__).parents[2]

MINIMAL = "from netyard.drivers.kit import Driver\nclass Mine(Driver):\n    is_creatable = True\n"
_NETWORK = NetworkRecord(id="0" * 64, name="net1", driver="odd", created="")
# Its store knows one network, with one bridge.
_ROOT: Any = SimpleNamespace(
    store=SimpleNamespace(holder_of_bridge={"br-taken": "other"}.get, networks=list)
)


def _odd(**members: Any) -> Any:
    """A driver class that is as it should be but for these."""
    return guarded("odd", "odd-pkg", type("Odd", (kit.Driver,), members)())


def _plan(driver: Any, **asked: Any) -> Any:
    return driver.plan(_ROOT, NetworkSpec(name="net1", driver="odd", **asked), {}, "0" * 64)


def test_a_package_is_found_by_its_entry_point(site: Site) -> None:
    site.add("mine_pkg", {"mine": "mine_pkg:Mine"}, MINIMAL)
    found = packages.load("mine")
    assert found is not None
    assert (found.name, found.is_creatable) == ("mine", True)
    assert found.normalise({"a.b": "c"}) == {"a.b": "c"}
    assert found.devices(_NETWORK._replace(bridge="odd0")) == ["odd0"]
    assert "mine" in registry.known_names()
    assert packages.load("nobody") is None
    assert not registry.complaints()


def test_a_name_nobody_offers_is_told_with_those_there_are(site: Site) -> None:
    site.add("mine_pkg", {"mine": "mine_pkg:Mine"}, MINIMAL)
    with pytest.raises(
        NotFound, match=r"no driver 'main'; known are bridge, ipvlan, .*, mine, overlay$"
    ):
        registry.driver("main")
    with pytest.raises(DriverError, match=r"driver 'odd' of network 'net1' is not installed") as it:
        registry.driver_of(_NETWORK)
    assert it.value.driver == "odd"
    assert it.value.hint is not None and "network rm -f net1" in it.value.hint


@pytest.mark.parametrize(
    ("target", "code", "why"),
    [
        ("bad_pkg:Mine", "import nothing_of_this_name", "cannot be loaded: ModuleNotFoundError"),
        ("bad_pkg:Mine", "x = (", "cannot be loaded: SyntaxError"),
        ("bad_pkg:Mine", "raise SystemExit(3)", "cannot be loaded: SystemExit: 3"),
        ("bad_pkg:Mine", "1 / 0", "cannot be loaded: ZeroDivisionError: division by zero"),
        ("bad_pkg:Missing", MINIMAL, "cannot be loaded: AttributeError"),
        ("elsewhere:Mine", MINIMAL, "cannot be loaded: ModuleNotFoundError"),
        ("bad_pkg:Mine", "class Mine:\n    def __init__(self, x): pass", "cannot be loaded: TypeErr"),
        ("bad_pkg:Mine", "Mine = 5", "cannot be loaded: TypeError"),
        ("bad_pkg:Mine", "class Mine: pass", r"lacks create\(\), remove\(\), attach\(\), detach\(\), "),
        ("bad_pkg:Mine", MINIMAL + "    attach = None", r"lacks attach\(\)"),
        ("bad_pkg:Mine", MINIMAL + "    device = 'bridge'", "written for an older netyard"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_in_one_sentence(
    site: Site, target: str, code: str, why: str
) -> None:
    site.add("bad_pkg", {"bad": target}, code)
    with pytest.raises(DriverError, match=why) as raised:
        packages.load("bad")
    assert re.match(r"driver 'bad' of package 'bad_pkg' ", str(raised.value))
    assert "\n" not in str(raised.value)
    assert (raised.value.driver, raised.value.package) == ("bad", "bad_pkg")
    assert registry.complaints() == [str(raised.value)]


def test_drivers_of_the_old_contract() -> None:
    """They are no subclasses of `Driver`, and had an attribute `device`; without one they work."""
    members = {each: lambda *_: None for each in ("create", "remove", "attach", "detach")}
    members |= {each: lambda *_: None for each in ("let_go", "restore")}
    old = type("Old", (), {**members, "name": "old", "is_creatable": True, "device": ""})
    made = guarded("old", "old-pkg", old())
    assert made.normalise({"a": "b"}) == {"a": "b"}
    assert _plan(made, subnets=["10.9.0.0/24"]).subnets == [IPv4Network("10.9.0.0/24")]
    assert made.warnings(_NETWORK) == []
    with pytest.raises(
        DriverError, match="written for an older netyard: it names its device 'tun'"
    ):
        guarded("old", "old-pkg", type("Tun", (old,), {"device": "tun"})())
    # What it is called is its own affair once it says what networks stand on.
    planned = {"device": "tun", "plan": lambda *_: kit.Foundation({}, bridge="tun0")}
    assert _plan(guarded("old", "old-pkg", type("New", (old,), planned)())).bridge == "tun0"


@pytest.mark.parametrize("method", ["normalise", "plan", "check", "warnings", "devices", "create",
                                    "remove", "attach", "detach", "let_go", "restore"])  # fmt: skip
def test_whatever_a_method_raises_names_driver_and_package(method: str) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("line one\nline two")

    driver = _odd(**{method: fail})
    calls = {
        "normalise": lambda: driver.normalise({}),
        "plan": lambda: _plan(driver),
        "check": lambda: driver.check(_ROOT, _NETWORK),
        "warnings": lambda: driver.warnings(_NETWORK),
        "devices": lambda: driver.devices(_NETWORK),
        "create": lambda: driver.create([_NETWORK]),
        "remove": lambda: driver.remove([_NETWORK]),
        "attach": lambda: driver.attach([kit.EndpointPlan(None, _NETWORK, 0)]),  # type: ignore[arg-type]
        "detach": lambda: driver.detach(_NETWORK, [], Path()),
        "let_go": lambda: driver.let_go(_NETWORK, [], Path()),
        "restore": lambda: driver.restore(_NETWORK, []),
    }
    with pytest.raises(DriverError) as raised:
        calls[method]()
    about = "" if method == "normalise" else " for network 'net1'"
    assert str(raised.value) == (
        f"driver 'odd' of package 'odd-pkg': failed in {method}(){about}: ZeroDivisionError: "
        "line one line two"
    )
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_what_a_driver_says_to_users_passes() -> None:
    def refuse(*_: object) -> None:
        raise Invalid("--opt: no", field="--opt")

    with pytest.raises(Invalid, match=r"^--opt: no$"):
        _odd(normalise=refuse).normalise({})


@pytest.mark.parametrize(
    "plan",
    [
        None,
        {},
        "br0",
        kit.Foundation({"mtu": 1500}),  # type: ignore[dict-item]
        kit.Foundation("mtu=1500"),  # type: ignore[arg-type]
        kit.Foundation({}, bridge=None),  # type: ignore[arg-type]
        kit.Foundation({}, bridge="a name with spaces"),
        kit.Foundation({}, bridge="longer-than-15-x"),
        kit.Foundation({}, bridge="br-taken"),
        kit.Foundation({}, subnets=["10.0.0.0/8"]),  # type: ignore[list-item]
        kit.Foundation({}, gateways=["10.0.0.1"]),  # type: ignore[list-item]
        kit.Foundation({}, reserved=["host"]),  # type: ignore[list-item]
        kit.Foundation({}, without_gateway=[5]),
        kit.Foundation({}, without_gateway=4),  # type: ignore[arg-type]
        kit.Foundation({}, is_internal="no"),  # type: ignore[arg-type]
        kit.Foundation({}, avoid=[None]),  # type: ignore[list-item]
        kit.Foundation({}, sources=[None]),  # type: ignore[list-item]
        kit.Foundation({}, others=[None]),  # type: ignore[list-item]
        kit.Foundation({}, vni=7),
        kit.Foundation({}, underlay="192.0.2.1"),
    ],
)
def test_nonsense_for_a_plan_is_refused(plan: object) -> None:
    with pytest.raises(DriverError, match=r"driver 'odd' of package 'odd-pkg': plan\(\) "):
        _plan(_odd(plan=lambda *_: plan))


@pytest.mark.parametrize(
    ("method", "nonsense"),
    [
        ("normalise", None),
        ("normalise", {"a": 1}),
        ("warnings", "a sentence"),
        ("warnings", [1]),
        ("devices", None),
        ("devices", "odd0"),
    ],
)
def test_other_nonsense_is_refused(method: str, nonsense: object) -> None:
    driver = _odd(**{method: lambda *_: nonsense})
    with pytest.raises(
        DriverError, match=rf"{method}\(\) returned {re.escape(repr(nonsense))}, not a"
    ):
        getattr(driver, method)({} if method == "normalise" else _NETWORK)


def test_addresses_by_dhcp_are_for_drivers_that_netyard_knows() -> None:
    with pytest.raises(Invalid, match=r"--ipam-driver: .* driver 'odd': use macvlan"):
        _plan(_odd(), ipam_driver="dhcp")


def test_names_that_are_offered_twice(site: Site) -> None:
    site.add("one_pkg", {"mine": "one_pkg:Mine", "bridge": "one_pkg:Mine"}, MINIMAL)
    site.add("two_pkg", {"mine": "two_pkg:Mine"}, MINIMAL)
    with pytest.raises(DriverError, match="'mine' is offered by packages 'one_pkg' and 'two_pkg'"):
        packages.load("mine")
    assert type(registry.driver("bridge")) is kit.BridgeDriver
    assert registry.complaints() == [
        "package 'one_pkg' offers a driver 'bridge', which is not used: netyard has one of that "
        "name itself",
        "driver 'mine' is offered by packages 'one_pkg' and 'two_pkg': uninstall all but one",
    ]


def test_the_error_is_public() -> None:
    assert netyard.DriverError is DriverError
    assert issubclass(DriverError, netyard.StateError)


def test_everything_in_the_kit_is_there_and_told_of() -> None:
    guide = (ROOT / "docs/drivers.md").read_text()
    for name in kit.__all__:
        assert getattr(kit, name) is not None
        assert re.search(rf"`(kit\.)?{name}\b", guide), (
            f"docs/drivers.md does not say what {name} is"
        )


def test_the_guide_shows_the_example_as_it_is() -> None:
    """Each block that is headed by a file's name is that file."""
    guide = (ROOT / "docs/drivers.md").read_text()
    shown = dict(
        re.findall(r"\n`tests/driver_package/([\w./]+)`:\n\n```\w+\n(.*?)```\n", guide, re.S)
    )
    there = {
        str(path.relative_to(EXAMPLE)): path.read_text()
        for path in EXAMPLE.rglob("*")
        if path.suffix in (".py", ".toml") and path.stat().st_size
    }
    assert shown == there


def test_every_method_of_the_contract_is_told_of() -> None:
    guide = (ROOT / "docs/drivers.md").read_text()
    methods = [
        name for name, value in vars(kit.Driver).items() if callable(value) and name[0] != "_"
    ]
    assert len(methods) == 11
    for name in methods:
        assert f"`{name}(" in guide, name
