"""Connections made together: as good as one by one, and all or none."""

from __future__ import annotations

import json

from lab import Guest, Machine, wait_for

_MADE = """
from netyard import Container, Host, Network
host = Host()
net = Network.create("net", subnet="10.71.0.0/24", host=host)
other = Network.create("other", subnet="10.72.0.0/24", ipv6=True, host=host)
boxes = [Container.run("sleep", "600", name=f"box{n}", network="net", host=host) for n in range(30)]
"""
_CONNECTED = (
    _MADE
    + """
with host.batch():
    found = [other.connect(box, aliases=[f"also{n}"]).ip for n, box in enumerate(boxes)]
print(*found)
"""
)
_REFUSED = (
    _MADE
    + """
import subprocess
from netyard import Conflict, KernelError, NotFound
def refused(error, last):
    try:
        with host.batch():
            for box in boxes[:20]:
                other.connect(box)
            last()
    except error as why:
        print(type(why).__name__)
taken = {"com.docker.network.endpoint.ifname": "mine"}
def taken_meanwhile():
    other.connect(boxes[29], driver_opts=taken)
    at = f'/run/netyard/netns/{boxes[29].id}'
    subprocess.run(
        ['nsenter', f'--net={at}', 'ip', 'link', 'add', 'mine', 'type', 'bridge'], check=True
    )
refused(KernelError, taken_meanwhile)
refused(Conflict, lambda: other.connect(boxes[29], driver_opts=taken))
refused(NotFound, lambda: other.connect("nobody"))
refused(ZeroDivisionError, lambda: 1 / 0)
def made_and_then_wrong():
    Network.create("between", host=host)
    1 / 0
refused(ZeroDivisionError, made_and_then_wrong)
"""
)
_SOMEBODY_WAS_THERE = (
    _MADE
    + """
import subprocess
for number in (3, 4, 5):
    at = f"/run/netyard/netns/{boxes[number].id}"
    link = ["ip", "link", "add", "eth1", "type", "bridge"]
    subprocess.run(["nsenter", f"--net={at}", *link], check=True)
with host.batch():
    for box in boxes[:4]:
        other.connect(box)
    boxes[2].host.networks.create("third").connect(boxes[4])
print(other.connect(boxes[5]).ifname)
other.disconnect(boxes[5])
print(other.connect(boxes[5], driver_opts={"com.docker.network.endpoint.ifname": "lan"}).ifname)
"""
)
_LEFT = (
    _CONNECTED
    + """
from netyard import Conflict
def refused(what):
    try:
        what()
    except Conflict:
        print("refused")
try:
    with host.batch():
        other.disconnect(boxes[0])
        1 / 0
except ZeroDivisionError:
    pass
print(len(host.store.endpoints_on(other.id)))
with host.batch():
    for box in boxes[:28]:
        other.disconnect(box)
    refused(lambda: other.disconnect(boxes[0]))
    again = other.connect(boxes[0]).ip
    other.disconnect(boxes[28])
print(again)
"""
)
_MIXED = (
    _MADE
    + """
from netyard import AddressInUse
with host.batch():
    other.connect(boxes[0])
    other.disconnect(boxes[0])
    other.connect(boxes[1], ip="10.72.0.50")
    try:
        other.connect(boxes[3], ip="10.72.0.50")
    except AddressInUse:
        pass
    other.connect(boxes[2], gw_priority=5)
    with host.batch():
        Network.create("third", host=host).connect(boxes[2])
    Container.run("sleep", "600", name="late", network="other", host=host)
"""
)
_ROLLED_BACK = (
    _MADE.replace('f"box{n}", network="net"', 'f"box{n}", network=["net", "other"]').replace(
        "range(30)", "range(4)"
    )
    + """
import subprocess
web = Container.run("sleep", "600", name="web", network="net", publish="8080:80", host=host)
other.connect(web, ip="10.72.0.80", aliases="www", gw_priority=5, mac_address="02:00:00:00:00:80")
late = Container.create("sleep", "600", name="late", network=["net", "other"], host=host)
def state():
    found = []
    for box in [*boxes, web, late]:
        found.append([each._replace(host_ifname="") for each in box.endpoints()])
        if box is not late:
            words = ("sh", "-c", "ip -o addr; ip route; ip -6 route show default; cat /etc/hosts")
            lines = box.exec(*words).stdout.decode().splitlines()
            # The kernel numbers interfaces anew, and asks for its own addresses for a second.
            told = {" ".join(line.replace("tentative", "").split()) for line in lines}
            found.append(sorted(line.partition(": ")[2] or line for line in told))
        found.append(box.ports())
    return found
def told():
    return [(each.action, each.name) for each in host.events(follow=False)]
before, events = state(), told()
def failing(work):
    try:
        with host.batch():
            work()
            1 / 0
    except ZeroDivisionError:
        pass
    after = state()
    print(after == before, told()[len(events):])
def leave_and_come():
    other.disconnect(boxes[0])
    other.connect(boxes[0])
    other.disconnect(boxes[1])
    other.disconnect(web)
    Network.create("between", host=host)
failing(leave_and_come)
def not_running():
    other.disconnect(late)
    net.disconnect(web)
    other.connect(late, ip="10.72.0.99")
failing(not_running)
def address_is_taken_meanwhile():
    other.disconnect(web)
    other.disconnect(boxes[2])
    new = Container.run("sleep", "600", name="new", network="other", ip="10.72.0.80", host=host)
    third = host.networks.create("third")
    third.connect(new)
    third.connect(boxes[2])
failing(address_is_taken_meanwhile)
# What cannot be undone is told, and only that.
def one_ends():
    other.disconnect(boxes[3])
    boxes[3].kill()
    boxes[3].wait()
    Container.run("true", network="net", auto_remove=True, host=host).wait()
try:
    with host.batch():
        one_ends()
        1 / 0
except ZeroDivisionError:
    pass
print(sorted(told()[len(events):]), boxes[3].status, [each.network for each in boxes[3].endpoints()])
boxes[3].start()
print([each.is_up for each in boxes[3].endpoints()])
with host.batch():
    host.networks.create("kept").connect(web)
    seen = told()[len(events):]
print(("create", "kept") in seen, told()[-2:])
try:
    Container.run("no-such-command", name="never", network="net", host=host)
except Exception as error:
    print(type(error).__name__, "never" in str(told()))
"""
)


def test_thirty_at_once(host: Machine) -> None:
    """NO1, DN4: addresses in order, names, aliases and IPv6, each interface up at the end."""
    found = host.python(_CONNECTED).split()
    assert found == [f"10.72.0.{number}" for number in range(2, 32)]
    first, last = Guest(host, "box0"), Guest(host, "box29")
    assert first.ping("10.72.0.31")
    assert first.ping("box29.other") and last.ping("also0")
    assert last.ping(first.address("other", version=6))
    assert host.run("ping", "-c1", "-W1", "10.72.0.17").returncode == 0
    events = host.ny("events", "--since", "1h", "--until", "0s", "--filter", "event=connect")
    assert len([line for line in events.splitlines() if '"other"' in line]) == 30


def test_all_or_none(host: Machine) -> None:
    """CV3: the kernel's refusal of one, a mistake in one, and an error of the caller's."""
    assert host.python(_REFUSED).split() == [
        "KernelError",
        "Conflict",
        "NotFound",
        *["ZeroDivisionError"] * 2,
    ]
    assert "between" not in host.ny("network", "ls")
    bridge = host.ny("network", "inspect", "-f", "{{json .Containers}}", "other")
    assert bridge == "{}"
    wait_for(lambda: len([name for name in host.links() if name.startswith("ny-")]) == 30)
    box = Guest(host, "box3")
    wait_for(lambda: "eth1" not in box.run("ip", "link").stdout)
    host.ny("network", "connect", "other", "box3")
    assert host.run("ping", "-c1", "-W1", box.address("other")).returncode == 0


def test_interfaces_somebody_has_put_into_a_container(host: Machine) -> None:
    """RN18: their names are left to them, with others and alone."""
    assert host.python(_SOMEBODY_WAS_THERE).split() == ["eth2", "lan"]
    for name, ifname, network in (
        ("box2", "eth1", "other"),
        ("box3", "eth2", "other"),
        ("box4", "eth2", "third"),
        ("box5", "lan", "other"),
    ):
        box = Guest(host, name)
        address = box.address(network)
        assert f"inet {address}/" in box.run("ip", "addr", "show", ifname).stdout
        assert host.run("ping", "-c1", "-W1", address).returncode == 0


def test_all_but_two_leave_at_once(host: Machine) -> None:
    """NO3, IP8: nobody reaches them, names and addresses are free, the others stay."""
    lines = host.python(_LEFT).splitlines()
    assert lines[1:] == ["30", "refused", "10.72.0.2"]
    first, last, gone = (Guest(host, f"box{number}") for number in (0, 29, 5))
    assert last.ping("10.72.0.2") and last.ping("box0.other")
    assert not last.ping("10.72.0.7") and not last.ping("box5.other")
    assert first.ping(last.address("other", version=6))
    assert "eth1" not in gone.run("ip", "link").stdout
    assert gone.ping("box29.net"), "the network they stayed on is as it was"
    shown = json.loads(host.ny("network", "inspect", "-f", "{{json .Containers}}", "other"))
    assert sorted(each["Name"] for each in shown.values()) == ["box0", "box29"]
    events = host.ny("events", "--since", "1h", "--until", "0s", "--filter", "event=disconnect")
    assert len([line for line in events.splitlines() if '"other"' in line]) == 29


def test_beside_other_changes(host: Machine) -> None:
    """What comes between is done in its order; batches inside one another are one."""
    host.python(_MIXED)
    one, two, late = (Guest(host, name) for name in ("box1", "box2", "late"))
    assert one.address("other") == "10.72.0.50"
    assert late.ping("10.72.0.50") and late.ping("box2.other")
    assert "10.72.0.1" in two.run("ip", "route", "show", "default").stdout
    assert two.address("third")
    refused = json.loads(host.ny("inspect", "box3"))[0]["NetworkSettings"]["Networks"]
    assert list(refused) == ["net"], "nothing of what was refused is left in the batch"


def test_another_object_within_the_block(host: Machine) -> None:
    """It would wait for itself: said at once, and whatever the block has planned is not done."""
    host.ny("network", "create", "net")
    told = host.python(
        "from netyard import Conflict, Host, Network\n"
        "host = Host()\n"
        "try:\n"
        "    with host.batch():\n"
        "        Network.create('other', host=host)\n"
        "        Network.create('late')\n"
        "except Conflict as error:\n"
        "    print(error, error.hint)\n"
        "print(Network.create('late').name)"
    )
    assert "another Host object" in told and "host=host" in told
    assert told.endswith("late")
    listed = host.ny("network", "ls", "--format", "{{.Name}}").split()
    assert "late" in listed and "other" not in listed


def test_a_failed_batch_leaves_all_as_it_was(host: Machine) -> None:
    """CV3: what it has disconnected is connected again as it was; events tell of none of it."""
    told = host.python(_ROLLED_BACK).splitlines()
    assert told[:3] == ["True []"] * 3, told
    ended = "[('die', 'box3'), ('disconnect', 'net'), ('kill', 'box3')] exited ['net', 'other']"
    assert told[3:] == [
        ended,
        "[True, True]",
        "False [('create', 'kept'), ('connect', 'kept')]",
        "StartFailed False",
    ]
    box, web = Guest(host, "box0"), Guest(host, "web")
    assert box.ping("www.other") and web.ping("box1.other") and box.ping("10.72.0.80")
    assert host.ny("port", "web") == "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080"
    assert host.ny("network", "ls", "--format", "{{.Name}}").split() == [
        *("bridge", "host", "kept", "net", "none", "other")
    ]
    for name in ("box0", "box1", "box2", "box3", "late", "web"):
        host.ny("rm", "-f", name)
    host.ny("network", "rm", "net", "other", "kept")
