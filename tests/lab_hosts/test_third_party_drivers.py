"""Drivers of other packages: installed, used, killed, broken, uninstalled (docs/drivers.md).

``cell`` of the example has no device on the host, ``hub`` one that netyard has not heard of.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

import crashing
from agreement import kernel, wait_for_kernel
from driver_packages import Site
from lab import HOST, NEIGHBOUR, SERVER, Guest, Lab, Machine, wait_for

# A driver that fails in the methods named in FAULTY, and does nothing in the others.
_FAULTY = """
import os
from netyard.drivers.kit import Driver

class Faulty(Driver):
    name = "faulty"
    is_creatable = True

    def __getattribute__(self, name):
        if name in os.environ.get("FAULTY", "").split():
            return lambda *_: 1 / 0
        return super().__getattribute__(name)
"""
_POINTS = 5


@pytest.fixture
def example(site: Site) -> Site:
    """The example package is installed."""
    site.install_example()
    return site


@pytest.fixture
def faulty(site: Site) -> Site:
    """A package is installed whose driver can fail."""
    site.add("faulty_pkg", {"faulty": "faulty_pkg:Faulty"}, _FAULTY)
    return site


def _guests(host: Machine, network: str, *names: str) -> list[Guest]:
    for name in names:
        host.ny("run", "-d", "--name", name, "--network", network, "sleep", "600")
    return [Guest(host, name) for name in names]


def _cells(host: Machine) -> list[str]:
    return host.out("sh", "-c", "ls /run/netns").split()


def _inside(host: Machine) -> str:
    """The links in the one cell there is."""
    (cell,) = _cells(host)
    return host.out("ip", "netns", "exec", cell, "ip", "-d", "link")


def _network(host: Machine, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(host.ny("network", "inspect", name))[0]
    return found


def _furnish(host: Machine) -> dict[str, list[str]]:
    """Something that stays as it is, with all that the first of everything leaves for good."""
    host.ny("network", "create", "steady")
    _guests(host, "steady", "witness")
    host.ny("network", "create", "-d", "cell", "first")
    host.ny("run", "--rm", "--network", "first", "true")
    host.ny("network", "rm", "first")
    return kernel(host)


def _check_settled(host: Machine, before: dict[str, list[str]], where: str) -> None:
    wait_for_kernel(host, before, where)
    assert not _cells(host), where


# -- a network without a device on the host ------------------------------------------------------


def test_without_a_device(example: Site, host: Machine) -> None:
    links = host.links()
    host.ny("network", "create", "-d", "cell", "--ipv6", "-o", "mtu=1400", "lab")
    assert host.ny("network", "ls", "--filter", "driver=cell", "--format", "{{.Name}}") == "lab"
    shown = _network(host, "lab")
    assert (shown["Driver"], shown["Scope"], shown["Internal"]) == ("cell", "local", True)
    assert shown["Options"] == {"com.docker.network.driver.mtu": "1400"}
    assert "Gateway" not in json.dumps(shown["IPAM"])
    one, two = _guests(host, "lab", "one", "two")
    assert host.links() == links
    for family in "-4", "-6":
        assert one.run("ping", family, "-c1", "-W1", "two").returncode == 0
    assert not two.ping(HOST)
    assert not one.run("ip", "route", "show", "default").stdout
    assert " mtu 1400 " in one.run("ip", "link", "show", "eth0").stdout
    assert json.loads(host.ny("inspect", "one"))[0]["NetworkSettings"]["Networks"]["lab"][
        "IPAddress"
    ]
    assert _inside(host).count("bridge_slave") == 2


def test_without_a_device_no_port_is_published(example: Site, host: Machine) -> None:
    """It is said, as on macvlan networks; a second network with a way out has them."""
    host.ny("network", "create", "-d", "cell", "lab")
    host.ny("network", "create", "out")
    serve = (sys.executable, "-S", SERVER, "80")
    done = host.netyard("run", "-d", "--name", "web", "--network", "lab", "-p", "8080:80", *serve)
    assert done.stderr == (
        "netyard: warning: no port is published: cell network 'lab' has no device on the host to "
        "publish it on\n"
    )
    assert host.ny("port", "web") == ""
    host.ny("network", "connect", "out", "web")
    assert wait_for(lambda: host.fetch(HOST, 8080))


def test_without_a_device_containers_come_and_go(example: Site, host: Machine) -> None:
    before = _furnish(host)
    host.ny("network", "create", "-d", "cell", "--ipv6", "lab")
    host.ny("network", "create", "plain")
    (one,) = _guests(host, "lab", "one")
    (two,) = _guests(host, "plain", "two")
    assert not two.ping("one")
    host.ny("network", "connect", "lab", "two", "--alias", "second")
    assert two.ping("one")
    assert one.ping("second")
    host.ny("network", "disconnect", "lab", "two")
    assert not two.ping("one")
    assert _inside(host).count("bridge_slave") == 1
    # Another MAC address at the same address: the others are told.
    host.ny("network", "connect", "lab", "two")
    assert one.ping("two")
    host.ny("stop", "-t0", "two")
    assert _inside(host).count("bridge_slave") == 1
    host.ny("start", "two")
    assert one.ping("two")
    complaint = host.refused("network", "rm", "lab")
    assert "'lab' is used by containers one, two" in complaint
    host.ny("rm", "-f", "one", "two")
    host.ny("network", "rm", "lab", "plain")
    _check_settled(host, before, "removed")


def test_without_a_device_everything_is_made_again(example: Site, lab: Lab) -> None:
    host = lab.host
    host.ny("network", "create", "-d", "cell", "--ipv6", "lab")
    one, _ = _guests(host, "lab", "one", "two")
    (cell,) = _cells(host)
    host.run("ip", "-n", cell, "link", "del", "switch")
    assert not one.ping("two")
    what = "network lab", "container one", "container two"
    assert sorted(host.ny("reload").splitlines()) == sorted(f"restored: {each}" for each in what)
    assert one.ping("two")
    host.run("ip", "netns", "del", cell)
    host.ny("reload")
    assert one.ping("two")
    lab.reboot()
    assert lab.host.ny("network", "ls", "-q", "--filter", "driver=cell")
    lab.host.ny("start", "one", "two")
    assert Guest(lab.host, "two").ping("one")


# -- a network with a device of its own ----------------------------------------------------------


def test_with_a_device_of_its_own(example: Site, lab: Lab) -> None:
    host, before = lab.host, lab.host.links()
    host.ny("network", "create", "-d", "hub", "-o", "ageing=10", "watched")
    (device,) = host.links() - before
    assert device.startswith("hub-")
    described = host.out("ip", "-d", "link", "show", "dev", device)
    assert "ageing_time 1000 " in described
    assert "alias netyard /var/lib/netyard: watched" in described
    assert _network(host, "watched")["Options"] == {"ageing": "10"}
    # All else is that of a bridge: a way out, and published ports.
    serve = (sys.executable, "-S", SERVER, "80")
    host.ny("run", "-d", "--name", "web", "--network", "watched", "-p", "8080:80", *serve)
    assert wait_for(lambda: lab.neighbour.fetch(HOST, 8080))
    (one,) = _guests(host, "watched", "one")
    assert one.ping("web")
    assert one.ping(NEIGHBOUR)
    host.run("ip", "link", "del", device)
    host.ny("reload")
    assert "ageing_time 1000 " in host.out("ip", "-d", "link", "show", "dev", device)
    assert one.ping("web")
    assert lab.neighbour.fetch(HOST, 8080)
    found = host.ny("repair", "--from-kernel")
    assert f"found: interface {device} of network watched" in found
    host.ny("rm", "-f", "web", "one")
    host.ny("network", "rm", "watched")
    assert host.links() == before


def test_what_is_special_about_the_device(example: Site, host: Machine) -> None:
    """A third container sees what two say to each other, as it does not on a bridge."""
    seen = {}
    for driver in "hub", "bridge":
        network, spy = f"a-{driver}", f"{driver}-spy"
        host.ny("network", "create", "-d", driver, network)
        one, two = _guests(host, network, f"{driver}-1", f"{driver}-2")
        assert one.ping(two.name)
        watch = ("tcpdump", "-Z", "root", "-lni", "eth0", "icmp")
        host.ny("run", "-d", "--name", spy, "--network", network, *watch)
        wait_for(lambda spy=spy: "listening on" in host.netyard("logs", spy).stderr)
        one.run("ping", "-c3", "-i0.1", two.address(network))
        host.ny("stop", "-t1", spy)
        seen[driver] = host.netyard("logs", spy).stdout.count("echo reply")
    assert seen == {"hub": 3, "bridge": 0}


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("-d cell -o ageing=1", "'ageing' is no option of this driver"),
        (
            "-d cell --gateway 10.9.0.1 --subnet 10.9.0.0/24",
            "cell has no way out and so no gateway",
        ),
        ("-d cell --ipam-driver dhcp", "asks no DHCP server for networks of driver 'cell'"),
        ("-d cell --ipv6 -o mtu=1000", "must be a number from 1280"),
        ("-d hub -o ageing=9999", "--opt ageing: '9999' must be a number from 0 to 3600"),
        ("-d hub -o age=9", "'age' is no option of this driver"),
        ("-d hub -o name=eth0", "interface 'eth0' exists and is no bridge"),
        ("-d nub", "there is no driver 'nub'; known are bridge, cell, hub, ipvlan"),
        ("-d hub --scope global", "is not the scope of a hub network, which is local"),
    ],
)
def test_wrong_options_are_refused(example: Site, host: Machine, words: str, why: str) -> None:
    host.ny("network", "ls")
    before = host.snapshot()
    complaint = host.refused("network", "create", *words.split(), "odd")
    assert why in complaint
    assert len(complaint.splitlines()) == 1
    assert host.snapshot() == before


def test_defaults_of_the_configuration_are_checked_by_the_driver(
    example: Site, host: Machine
) -> None:
    settings = "default-network-opts"
    host.ny("config", "set", settings, json.dumps({"hub": {"ageing": "7", "mtu": "1300"}}))
    host.ny("network", "create", "-d", "hub", "watched")
    options = {"ageing": "7", "com.docker.network.driver.mtu": "1300"}
    assert _network(host, "watched")["Options"] == options
    host.ny("config", "set", settings, json.dumps({"hub": {"ageing": "often"}}))
    assert "'often' must be a number" in host.refused("network", "create", "-d", "hub", "other")


def test_help_names_the_drivers_there_are(example: Site, host: Machine) -> None:
    shown = " ".join(host.ny("network", "create", "--help").split())
    assert "Network driver: bridge, cell, hub, ipvlan, macvlan, overlay. [default: bridge]" in shown


# -- killed --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def failpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What kills a command in its midst."""
    return crashing.compiled(tmp_path_factory.mktemp("failpoint"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("driver", "operation"),
    [("cell", "create"), ("cell", "run"), ("cell", "remove"), ("hub", "create")],
)
def test_killed_in_its_midst(
    example: Site, host: Machine, failpoint: str, tmp_path: Path, driver: str, operation: str
) -> None:
    """The next command finishes or undoes it: nothing half-way is left, and the name is free."""
    create = ("network", "create", "-d", driver, "lab")
    run = ("run", "-d", "--name", "one", "--network", "lab", "sleep", "600")
    commands = {"create": create, "run": run, "remove": ("network", "rm", "lab")}
    report = tmp_path / "report"

    def disturb(point: int) -> int:
        if operation != "create":
            host.ny(*create)
        command = (sys.executable, "-m", "netyard", *commands[operation])
        environment = {"FAILPOINT_REPORT": str(report)}
        done = host.run(failpoint, str(point), "before", *command, check=False, env=environment)
        return done.returncode

    def tidy() -> None:
        # A command that changes something ends what was begun.
        host.ny("rm", "-f", "one")
        host.ny("network", "rm", "-f", "lab")

    before = _furnish(host)
    assert disturb(0) == 0
    calls = int(report.read_text().split()[0])
    tidy()
    killed = 0
    for point in range(3, calls + 1, max(1, calls // _POINTS)):
        killed += disturb(point) != 0
        tidy()
        _check_settled(host, before, f"killed at {point} of {calls}")
    # Not at the last ones: how many calls there are is not quite the same each time.
    assert killed >= _POINTS // 2


# -- a package that is gone ----------------------------------------------------------------------


@pytest.mark.parametrize("driver", ["cell", "hub"])
def test_uninstalled_while_a_network_is_there(example: Site, host: Machine, driver: str) -> None:
    before = _furnish(host)
    host.ny("network", "create", "-d", driver, "orphan")
    host.ny("network", "create", "unused")
    host.ny("network", "create", "plain")
    _guests(host, "orphan", "one", "two")
    _guests(host, "plain", "three")
    example.clear()
    example.add("other_pkg", {})
    gone = f"driver '{driver}' of network 'orphan' is not installed"
    hint = (
        "hint: install its package again, or let 'netyard network rm -f orphan' forget the network "
        "and leave what the driver has made"
    )
    # Networks of other drivers go on, and it can be looked at.
    (four,) = _guests(host, "plain", "four")
    assert four.ping("three")
    assert "orphan" in host.ny("network", "ls", "--format", "{{.Name}}").split()
    assert _network(host, "orphan")["Driver"] == driver
    # What would need the driver says so.
    for status, words in (
        (125, "run -d --name five --network orphan sleep 600"),
        (1, "network connect orphan four"),
        (1, "network disconnect orphan one"),
    ):
        assert host.refused(*words.split(), status=status).endswith(f"netyard: {gone}\n{hint}")
    host.netyard("rm", "-f", "five")
    assert f"no driver '{driver}'" in host.refused("network", "create", "-d", driver, "more")
    assert f"problem  {gone}: install its package again" in host.netyard("doctor").stdout
    reloaded = host.netyard("reload", check=False)
    assert reloaded.returncode == 1
    assert f"lost: network orphan: {gone}" in reloaded.stdout
    assert "restored: container three" in reloaded.stdout
    # Containers can be stopped, and removed.
    stopped = host.netyard("stop", "-t0", "two")
    assert stopped.stdout == "two\n"
    assert gone in host.refused("start", "two")
    host.ny("rm", "-f", "one", "two")
    # The network stays until it is said that it is to be forgotten.
    assert host.refused("network", "rm", "orphan") == f"netyard: {gone}\n{hint}"
    assert host.ny("network", "prune", "-f").splitlines() == ["Deleted Networks:", "unused"]
    removed = host.netyard("network", "rm", "-f", "orphan")
    assert removed.stdout == "orphan\n"
    assert removed.stderr == f"netyard: warning: {gone}\n"
    assert "orphan" not in host.ny("network", "ls", "--format", "{{.Name}}")
    host.ny("rm", "-f", "three", "four")
    host.ny("network", "rm", "plain")
    assert host.doctor() == ["ok       no problems found"]
    if driver == "hub":
        # What carries the network's name on the host has gone with it.
        _check_settled(host, before, "after rm -f")


def test_installed_again(example: Site, host: Machine) -> None:
    """A network whose package was away for a while is as good as before."""
    host.ny("network", "create", "-d", "cell", "lab")
    one, _ = _guests(host, "lab", "one", "two")
    example.clear()
    host.netyard("stop", "-t0", "two")
    assert "not installed" in host.refused("network", "disconnect", "lab", "one")
    example.install_example()
    host.ny("start", "two")
    host.ny("network", "connect", "lab", "one")
    assert one.ping("two")
    host.ny("rm", "-f", "one", "two")
    host.ny("network", "rm", "lab")
    assert not _cells(host)


def test_uninstalled_after_a_kill(
    example: Site, host: Machine, failpoint: str, tmp_path: Path
) -> None:
    """What nobody can undo keeps no command from its work, is told of, and can be forgotten."""
    command = (sys.executable, "-m", "netyard", "network", "create", "-d", "cell", "lab")
    environment = {"FAILPOINT_REPORT": str(tmp_path / "report")}
    for point in range(20, 200):
        host.run(failpoint, str(point), "before", *command, check=False, env=environment)
        if _cells(host):
            break
        host.ny("network", "rm", "-f", "lab")
    example.clear()
    gone = "driver 'cell' of network 'lab' is not installed"
    made = host.netyard("network", "create", "plain")
    assert made.stderr == f"netyard: warning: {gone}\n"
    assert "lab" not in host.ny("network", "ls", "--format", "{{.Name}}").split()
    examined = host.netyard("doctor").stdout
    assert "network 'lab' is half made or half removed" in examined
    assert "'netyard network rm -f lab' forgets it" in examined
    assert host.netyard("network", "rm", "-f", "lab").stdout == "lab\n"
    assert host.netyard("network", "create", "lab").stderr == ""


# -- a package that fails ------------------------------------------------------------------------


def _sentence(method: str) -> str:
    about = "" if method == "normalise" else " for network 'odd'"
    return (
        f"driver 'faulty' of package 'faulty_pkg': failed in {method}(){about}: "
        "ZeroDivisionError: division by zero"
    )


@pytest.mark.parametrize(
    "method", ["normalise", "plan", "check", "devices", "create", "create remove"]
)
def test_a_driver_that_fails_to_create(
    faulty: Site, host: Machine, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    host.ny("network", "ls")
    before = host.snapshot()
    monkeypatch.setenv("FAULTY", method)
    complaint = host.refused("network", "create", "-d", "faulty", "odd")
    first, *rest = method.split()
    told = [f"netyard: warning: {_sentence(each)}" for each in rest]
    assert complaint.splitlines() == [*told, f"netyard: {_sentence(first)}"]
    assert host.snapshot() == before
    monkeypatch.setenv("FAULTY", "")
    assert host.netyard("network", "create", "-d", "faulty", "odd").stderr == ""


@pytest.mark.parametrize("method", ["attach", "attach detach"])
def test_a_driver_that_fails_to_attach(
    faulty: Site, host: Machine, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    host.ny("network", "create", "-d", "faulty", "--internal", "odd")
    host.ny("network", "create", "plain")
    (one,) = _guests(host, "plain", "one")
    before = host.snapshot()
    monkeypatch.setenv("FAULTY", method)
    for status, words in (
        (125, "run -d --rm --network odd sleep 600"),
        (1, "network connect odd one"),
    ):
        complaint = host.refused(*words.split(), status=status)
        assert complaint.splitlines()[-1] == f"netyard: {_sentence('attach')}"
        assert host.snapshot() == before
    assert one.ping("127.0.0.1")
    monkeypatch.setenv("FAULTY", "")
    host.ny("network", "connect", "odd", "one")
    host.ny("network", "disconnect", "odd", "one")


def test_a_driver_that_fails_to_take_away(
    faulty: Site, host: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.ny("network", "create", "-d", "faulty", "--internal", "odd")
    host.ny("network", "create", "plain")
    _guests(host, "plain", "one", "two")
    _guests(host, "odd", "three")
    host.ny("network", "connect", "odd", "one")
    monkeypatch.setenv("FAULTY", "detach let_go remove restore")
    assert host.refused("network", "disconnect", "odd", "one").endswith(_sentence("detach"))
    # It is tried again, and keeps nothing else from going on.
    done = host.netyard("network", "create", "more")
    assert _sentence("detach") in done.stderr
    assert host.netyard("rm", "-f", "one", "three").stdout.split() == ["one", "three"]
    assert host.refused("network", "rm", "odd") == f"netyard: {_sentence('remove')}"
    assert "odd" in host.ny("network", "ls", "--format", "{{.Name}}").split()
    reloaded = host.netyard("reload", check=False)
    assert f"lost: network odd: {_sentence('restore')}" in reloaded.stdout
    assert "restored: container two" in reloaded.stdout
    removed = host.netyard("network", "rm", "-f", "odd", "more")
    assert removed.stdout.split() == ["odd", "more"]
    assert removed.stderr == f"netyard: warning: {_sentence('remove')}\n"


def test_what_doctor_says_of_packages(site: Site, host: Machine) -> None:
    site.add("one_pkg", {"mine": "one_pkg:Faulty", "bridge": "one_pkg:Faulty"}, _FAULTY)
    site.add("two_pkg", {"mine": "two_pkg:Faulty"}, _FAULTY)
    site.add("bad_pkg", {"bad": "bad_pkg:Bad"}, "import nothing_of_this_name")
    assert host.doctor() == [
        "problem  driver 'bad' of package 'bad_pkg' cannot be loaded: ModuleNotFoundError: No "
        "module named 'nothing_of_this_name'",
        "problem  package 'one_pkg' offers a driver 'bridge', which is not used: netyard has one "
        "of that name itself",
        "problem  driver 'mine' is offered by packages 'one_pkg' and 'two_pkg': uninstall all but "
        "one",
    ]
    assert "cannot be loaded" in host.refused("network", "create", "-d", "bad", "odd")
    assert "uninstall all but one" in host.refused("network", "create", "-d", "mine", "odd")
    assert _network(host, "bridge")["Driver"] == "bridge"
    host.ny("network", "create", "-d", "bridge", "plain")
    assert re.search(r"br-\w+", host.out("ip", "-br", "link"))


def test_from_python(example: Site, host: Machine) -> None:
    """Errors are of the public type, and a batch takes networks of every driver."""
    code = """
from netyard import Container, DriverError, Host, Network
with Host() as host:
    with host.batch():
        net = Network.create("lab", driver="cell", host=host)
        out = Network.create("out", host=host)
        one = Container.run("sleep", "600", name="one", network="lab", host=host)
        two = Container.run("sleep", "600", name="two", network="lab", host=host)
        for each in one, two:
            out.connect(each)
    assert net.driver == "cell" and net.parent == ""
    one.remove(force=True); two.remove(force=True)
    net.remove(); out.remove()
    try:
        Network.create("odd", driver="faulty", host=host)
    except DriverError as error:
        print(error.driver, error.package, type(error.__cause__).__name__)
"""
    example.add("faulty_pkg", {"faulty": "faulty_pkg:Faulty"}, _FAULTY)
    environment = {"FAULTY": "create", **os.environ}
    done = host.run(sys.executable, "-c", code, env=environment)
    assert done.stdout == "faulty faulty_pkg ZeroDivisionError\n"
    assert not _cells(host)
