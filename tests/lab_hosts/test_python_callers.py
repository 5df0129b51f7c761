"""What an ordinary Python caller tries: it works, or one sentence says what would."""

from __future__ import annotations

import json
import sys

from lab import SLOWNESS, Guest, Machine, wait_for

_MADE = """
import json, os, pickle, subprocess, sys, time
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address, ip_network
from pathlib import Path
import netyard
from netyard import *
host = Host()
net = Network.create("net", subnet=ip_network("10.81.0.0/24"), options={"mtu": 1400}, host=host)
box = Container.run(Path("/bin/sleep"), "600", name="box", network=net, host=host)
"""
_JOINED = (
    _MADE
    + """
back = host.networks.create("back", subnet=["10.82.0.0/24", "fd82::/64"], gateway="10.82.0.9")
web = Container.run(
    Path("/bin/nc"), "-lk", "-p", "80",
    name="web", aliases="www", publish="8080:80", expose="80", add_hosts="db:10.9.9.9",
    network=[net, NetworkRequest(back, ip=ip_address("10.82.0.7"), aliases="behind")],
    dns=ip_address("192.0.2.53"), dns_search="lab.test", dns_options="ndots:2",
    sysctls={"net.ipv4.ip_forward": 1, "net.ipv4.conf.all.forwarding": True},
    environment={"PORT": 80, "WHERE": Path("/srv")}, workdir=Path("/tmp"), user=0,
    cap_add="NET_ADMIN", cap_drop="MKNOD", labels={"tier": "web"}, host=host,
)
print(json.dumps(web.inspect()))
"""
)


def test_objects_paths_and_numbers_are_taken(host: Machine) -> None:
    """A network for a name, one string for a list of one, addresses, paths and numbers."""
    shown = json.loads(host.python(_JOINED))
    web, box = Guest(host, "web"), Guest(host, "box")
    assert box.ping("www") and box.ping("web.net"), "one string is one alias, and one network"
    assert web.ping("10.82.0.9"), "the gateway that was given"
    assert web.address("back") == "10.82.0.7"
    assert web.run("cat", "/sys/class/net/eth0/mtu").stdout.strip() == "1400"
    assert "10.9.9.9\tdb" in web.run("cat", "/etc/hosts").stdout
    assert web.run("pwd").stdout.strip() == "/tmp"
    assert web.run("sh", "-c", "echo $PORT $WHERE").stdout.strip() == "80 /srv"
    assert web.run("cat", "/proc/sys/net/ipv4/ip_forward").stdout.strip() == "1"
    assert host.run("nc", "-z", "-w1", "10.81.0.3", "80").returncode == 0
    assert shown["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    assert shown["HostConfig"]["Dns"] == ["192.0.2.53"]
    assert shown["HostConfig"]["DnsSearch"] == ["lab.test"]
    assert host.ny("port", "web") == "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080"


_ENDPOINTS = (
    _MADE
    + """
other = host.networks.create("other", subnet="10.83.0.0/24", ipv6=True)
made = other.connect(box, aliases="db", ip=ip_address("10.83.0.50"), link_local_ips="169.254.3.3",
                     gw_priority=7, driver_opts={"com.docker.network.endpoint.ifname": "lan"})
assert isinstance(made, Endpoint) and made.is_up
assert (made.network, made.container, made.ifname) == ("other", "box", "lan"), made
assert (made.network_id, made.container_id) == (other.id, box.id)
assert made.ip == ip_address("10.83.0.50") and made.ip6 in ip_network(
    other.inspect()["IPAM"]["Config"][1]["Subnet"])
assert made.link_local_ips == (ip_address("169.254.3.3"),) and made.aliases == ("db",)
assert made.gw_priority == 7 and dict(made.options) == {"com.docker.network.endpoint.ifname": "lan"}
assert len(made.mac.split(":")) == 6 and made.host_ifname in os.listdir("/sys/class/net")
for change in (lambda: setattr(made, "ip", None), lambda: made.options.update(a="b")):
    try:
        change()
        print("changed")
    except AttributeError:
        pass
assert made in other.endpoints() and box.endpoints()[1] == made and len({made, *net.endpoints()}) == 2
assert pickle.loads(pickle.dumps(made)) == made and hash(pickle.loads(pickle.dumps(made))) == hash(made)
assert "10.83.0.50" in repr(made) and repr(made).startswith("Endpoint(")
# Equal things are equal, whichever object they are asked by.
assert Network.get("net") == net and Container.get("box") == box and Host() == host
assert len({net, Network.get("net"), host.networks.get(net.id)}) == 1
assert len({box, Container.get("box", host=host)}) == 1 and len({host, Host()}) == 1
assert net != other and box != net and host != net and Host("/run/elsewhere") != host
assert isinstance(net.host, Host) and isinstance(box.host, Host)
assert net in host.networks.list(filters="name=^net$") and len(host.networks.list(filters="name=net")) == 1
assert host.containers.list(filters="network=other") == [box]
gone = Container.create("true", network="none", host=host)
gone.remove()
assert "removed" in repr(gone) and "box" in repr(box) and "net" in repr(net)
with host.batch():
    other.disconnect(box)
    planned = other.connect(box)
    assert planned.ip is not None and not planned.is_up, "in a batch it is made at the end"
assert [each.is_up for each in other.endpoints()] == [True] and other.endpoints()[0].ip == planned.ip
other.disconnect(box)
other.connect(box, ip="10.83.0.50", driver_opts={"com.docker.network.endpoint.ifname": "lan"})
stale = Container.create("true", network=other, name="late", host=host)
late = stale.endpoints()[0]
assert late.ip is not None and not late.is_up and stale.start() is None and stale.wait() == 0
print("held")
"""
)


def test_endpoints_and_equality(host: Machine) -> None:
    """A value from `connect`; equal objects are equal, and keys of one entry."""
    assert host.python(_ENDPOINTS) == "held"
    assert Guest(host, "box").run("ip", "-o", "addr", "show", "lan").stdout.count("10.83.0.50") == 1
    assert host.ping("10.83.0.50")


_OBJECTS = (
    _MADE
    + """
def found(asker, name):
    return asker.exec("getent", "hosts", name).stdout.decode().split()[:1]
# What another container has: its network, its place.
inside = Container.run("ip", "-o", "-4", "addr", network=box, host=host)
assert inside.wait() == 0 and inside.record.donor_id == box.id
assert str(box.endpoints()[0].ip) in b"".join(each.data for each in inside.logs()).decode()
assert inside.inspect()["HostConfig"]["NetworkMode"] == f"container:{box.id}"
# Its name, for one alone.
back = host.networks.create("back", subnet="10.82.0.0/24")
askers = [
    Container.run("sleep", "600", network=net, links=box, host=host),
    Container.run("sleep", "600", network=net, links=[box, "box:alias"], host=host),
    Container.run("sleep", "600", network=[NetworkRequest(net, links=box), back], host=host),
    Container.run("sleep", "600", network=back, host=host),
]
net.connect(askers[3], links=[box])
for asker in askers:
    assert found(asker, "box") == [str(box.endpoints()[0].ip)], found(asker, "box")
assert found(askers[1], "alias") and not found(askers[0], "alias")
# The settings of a network.
kept = Network.create("kept", config_only=True, subnet=ip_network("10.83.0.0/24"), host=host)
assert Network.create("like", config_from=kept).inspect()["ConfigFrom"] == {"Network": "kept"}
print("held")
"""
)


def test_containers_and_networks_for_their_names(host: Machine) -> None:
    """Wherever a container or a network can be named, its object does."""
    assert host.python(_OBJECTS) == "held"


REFUSED = {
    "publish=80": "publish: 80 must be a string or several strings, not int",
    "publish=[8080]": "publish: 8080 must be a string, not int",
    "publish={'80/tcp': 8080}": "publish: {'80/tcp': 8080} must be a string or several strings",
    "publish=b'80:80'": "publish: b'80:80' must be a string or several strings, not bytes",
    "publish='8080:80,443:443'": "--publish: '8080' is no IP address",
    "publish=None": "publish: None must be a string or several strings, not NoneType",
    "expose=80.5": "expose: 80.5 must be",
    "network=5": "network: 5 must be the name of a network, a Network, Container or NetworkRequest",
    "network=host": "must be the name of a network, a Network, Container or NetworkRequest",
    "network=[box, net]": "cannot be joined with other networks",
    "network=box, ip='10.81.0.9'": "--ip cannot be used with --network container:",
    "network=far": "is of the host /run/elsewhere, and not of /var/lib/netyard",
    "network=NetworkRequest(box)": "must be the name of a network, or a Network, not Container",
    "network=NetworkRequest(5)": "network: 5 must be the name of a network, or a Network, not int",
    "network=NetworkRequest('net', ip='')": "ip: '' must be None, or left out",
    "network=net, links=net": "links: <Network net",
    "network=net, links=[5]": "links: 5 must be a string, not int",
    "network=net, links=far": "is of the host /run/elsewhere, and not of /var/lib/netyard",
    "network=[net, net]": "is given twice",
    "network=elsewhere": "is of the host /run/elsewhere, and not of /var/lib/netyard",
    "network=net, ip=5": "ip: 5 must be a string, not int",
    "network=net, ip=''": "ip: '' must be None, or left out, if none is wanted",
    "network=net, mac_address=''": "mac_address: '' must be None, or left out, if none is wanted",
    "network=net, ip=ip_address('10.99.0.1')": "is in no subnet of network 'net'",
    "network=NetworkRequest('net', gw_priority='high')": "gw_priority: 'high' must be a whole num",
    "network=net, aliases=b'x'": "aliases: b'x' must be",
    "environment={'A': True}": "environment: A: True must be the word that the program wants",
    "environment={'A': 1.5}": "environment: A: 1.5 must be a string, a whole number or a path",
    "environment={'A=B': '1'}": "environment: 'A=B' must be the name of a variable, without '='",
    "environment=['A=1']": "environment: ['A=1'] must be a mapping",
    "labels={'a': 1}": "labels: a: 1 must be a string, not int",
    "sysctls={'net.ipv4.ip_forward': 1.0}": "sysctls: net.ipv4.ip_forward: 1.0 must be a string",
    "sysctls={'kernel.panic': 1}": "must be net.KEY=VALUE",
    "tty='no'": "tty: 'no' must be True or False, not str",
    "publish_all=1": "publish_all: 1 must be True or False, not int",
    "rootfs=5": "rootfs: 5 must be a string or a path, not int",
    "workdir=b'/tmp'": "workdir: b'/tmp' must be a string or a path, not bytes",
    "user=-1": "user: -1 must be a whole number from 0 on",
    "user=4294967295": "--user: '4294967295' must be a number from 0 to 4294967294",
    "user='0:4294967295'": "--user: '4294967295' must be a number from 0 to 4294967294",
    "user=1.5": "user: 1.5 must be a string, not float",
    "dns=9": "dns: 9 must be a string or several strings, not int",
    "dns=[ip_address('::1'), 9]": "dns: 9 must be a string, not int",
    "name=5": "name: 5 must be a string, not int",
    "hostname='a\\0b'": "hostname: 'a\\x00b' must not hold a NUL character",
}
CALLS = {
    "Container.run('sleep', 5)": "command: word 2: 5 must be a string or a path, not int",
    "Container.run(['sleep', '5'])": "command: ['sleep', '5'] is a list: give its words one by one",
    "Container.run()": "a command is needed",
    "box.exec('true', 1)": "command: word 2: 1 must be a string or a path, not int",
    "box.exec()": "a command is needed",
    "box.exec('a b c')": "command 'a b c' is not found in the container",
    "box.exec('id', user=4294967295)": "--user: '4294967295' must be a number from 0 to",
    "box.exec('cat', input='x')": "input: 'x' must be bytes, not str",
    "box.exec('cat', input=b'', tty=True)": "input cannot be given with tty",
    "box.exec('true', timeout=-1)": "timeout: -1 must be a number of seconds, 0 or more",
    "box.wait(timeout='5')": "timeout: '5' must be a number of seconds, 0 or more, not str",
    "box.stop(timeout=float('nan'))": "timeout: nan must be a number of seconds",
    "box.kill('NONSENSE')": "number: 'NONSENSE' is no signal such as TERM or 15",
    "box.kill(0)": "number: 0 is no signal",
    "box.logs(since='soon')": "--since: 'soon' is no time such as",
    "box.logs(tail=-1)": "tail: -1 must be a whole number from 0 on",
    "box.add_ports(['80:80'])": "wanted: ['80:80'] must be a string, not list",
    "host.events(until=True)": "--until: True is no time such as",
    "host.events(filters='colour=red')": "'colour=red' must be KEY=VALUE with a key of",
    "host.events(filters={'type': 'network'})": "filters: {'type': 'network'} must be a string or",
    "host.containers.list(filters='name')": "'name' must be KEY=VALUE with a key of",
    "net.connect(5)": "container: 5 must be a Container, or the name or id of one",
    "net.disconnect(box, force='no')": "force: 'no' must be True or False, not str",
    "net.inspect(verbose='no')": "verbose: 'no' must be True or False, not str",
    "net.connect(box, ip='')": "ip: '' must be None, or left out, if none is wanted",
    "net.connect(box, gw_priority=2**63)": "must be a whole number, of at most 64 bits",
    "box.start(attached='2')": "attached: '2' must be a whole number from 0 on, not str",
    "box.start(when_listening=1)": "when_listening: 1 must be a function, not int",
    "net.connect(net)": "must be a Container, or the name or id of one",
    "net.connect('ghost')": "there is no container 'ghost'",
    "Network.get(net)": "wanted: <Network net",
    "Network.create('bad', options={'mtu': 1.5})": "options: mtu: 1.5 must be a string, a whole num",
    "Network.create('bad', options='mtu=1400')": "options: 'mtu=1400' must be a mapping such as",
    "Network.create('bad', options={'mtu': True})": "'true'",
    "Network.create('bad', subnet=10)": "subnet: 10 must be a string or several strings, not int",
    "Network.create('bad', ipv6='yes')": "ipv6: 'yes' must be True or False, not str",
    "Network.create('bad', aux_addresses={'a': 5})": "aux_addresses: a: 5 must be a string, not int",
    "Network.create('bad', config_from=5)": "config_from: 5 must be a string, not int",
    "Network.create('bad', config_from=elsewhere)": "is of the host /run/elsewhere, and not of",
    "Network.create(5)": "name: 5 must be a string, not int",
    "Host(root=5)": "root: 5 must be a string or a path, not int",
    "Host(root='')": "root: '' must be a path, or None for the default",
}


def test_what_is_refused_is_refused_by_name(host: Machine) -> None:
    """CV1, CV3: one sentence that names the value and what would be right; nothing has changed."""
    host.python(
        _MADE
        + "away = Host('/run/elsewhere')\n"
        + "Network.create('away', host=away)\n"
        + "Container.create('true', name='far', network='none', host=away)\n"
    )
    before = host.snapshot()
    calls = {f"Container.run('sleep', '5', {flags})": words for flags, words in REFUSED.items()}
    program = """
import json, sys
from ipaddress import ip_address
from netyard import *
host = Host()
net, box = Network.get("net"), Container.get("box")
elsewhere = Network.get("away", host=Host("/run/elsewhere"))
far = Container.get("far", host=Host("/run/elsewhere"))
told = {}
for call in json.load(sys.stdin):
    try:
        eval(call)
        told[call] = "taken"
    except NetyardError as error:
        told[call] = f"{type(error).__name__}: {error}"
print(json.dumps(told))
"""
    asked = {**calls, **CALLS}
    done = host.run(sys.executable, "-c", program, input=json.dumps(list(asked)))
    told = json.loads(done.stdout)
    for call, words in asked.items():
        kind, _, sentence = told[call].partition(": ")
        assert words in sentence, (call, told[call])
        assert kind in ("Invalid", "NotFound", "StartFailed"), (call, told[call])
        assert "\n" not in sentence and not sentence.endswith(".")
    assert host.snapshot() == before


_COMMANDS = (
    _MADE
    + """
big = os.urandom(1 << 20) * 8
done = box.exec("cat", input=big)
assert done.stdout == big and done.returncode == 0, "fed and read at once"
done = box.exec("sh", "-c", "cat >&2; echo out; exit 3", input=b"err")
assert (done.stdout, done.stderr, done.returncode) == (b"out\\n", b"err", 3)
assert box.exec("head", "-c1", input=big).stdout == big[:1], "one that does not read it all"
assert box.exec("cat").stdout == b"", "without input there is none"
assert box.exec(Path("/bin/pwd"), workdir=Path("/tmp")).stdout == b"/tmp\\n"
assert box.exec("sh", "-c", "echo $N", environment={"N": 5}).stdout == b"5\\n"
assert box.exec("id", "-u", user=65534).stdout == b"65534\\n"
# It streams: each chunk is there before the next is written.
with box.popen("sh", "-c", "read a; echo got $a; read b; echo and $b >&2; exit 7") as talk:
    talk.stdin.write(b"one\\n")
    output = iter(talk)
    assert next(output) == ("stdout", b"got one\\n")
    assert talk.returncode is None
    talk.stdin.write(b"two\\n")
    assert next(output) == Output("stderr", b"and two\\n")
    assert next(output, None) is None
    assert talk.wait(timeout=5) == 7 == talk.returncode
# More each way than a pipe holds, with nobody reading while it is written.
with box.popen("cat") as cat:
    assert cat.stdin.write(big) == len(big)
    cat.stdin.close()
    assert b"".join(each.data for each in cat) == big
    assert cat.wait() == 0
with box.popen("sh", "-c", "head -c 3000000 /dev/zero") as filled:
    assert filled.wait(timeout=20) == 0, "unread output keeps nothing from its end"
    assert sum(len(each.data) for each in filled) == 3000000
with box.popen("true") as deaf:
    deaf.wait()
    try:
        deaf.stdin.write(big)
        print("written to nothing")
    except BrokenPipeError:
        pass
with box.popen("sleep", "1000") as asleep:
    try:
        asleep.wait(timeout=0.2)
        print("ended")
    except TimeoutError as error:
        assert isinstance(error, TimedOut) and error.kind == "timeout"
    assert asleep.returncode is None, "it goes on"
    asleep.kill("TERM")
    assert asleep.wait(timeout=5) == 143
for call in (lambda: box.popen("no-such"), lambda: box.exec("no-such")):
    try:
        call()
        print("started")
    except StartFailed as error:
        assert error.exit_code == 127
print(len(os.listdir("/proc/self/fd")))
for _ in range(20):
    box.exec("true", input=b"x", timeout=5)
    with box.popen("true") as each:
        each.wait()
print(len(os.listdir("/proc/self/fd")))
"""
)


def test_commands_are_fed_and_read_at_once(host: Machine) -> None:
    """`exec` with input, `popen` that streams; no descriptor is left."""
    before, after = host.python(_COMMANDS).split()
    assert before == after


_TIMEOUTS = (
    _MADE
    + """
# Its first process reaps what is orphaned, as an init does.
init = Container.run("sh", "-c", "while :; do sleep 600 & wait $!; done", name="init", network=net,
                     host=host)
def refused(call, seconds):
    begun = time.monotonic()
    try:
        call()
        print("ended")
    except TimedOut as error:
        assert isinstance(error, TimeoutError)
        taken = time.monotonic() - begun
        assert seconds <= taken < seconds + 5 * SLOWNESS, taken
        print(error)
refused(lambda: init.exec("sleep", "7771", timeout=0.5), 0.5)
refused(lambda: init.exec("sh", "-c", "sleep 7772 & sleep 7773 & wait", timeout=0.5), 0.5)
# The command itself has ended: what it has started holds streams that are nobody's any more.
done = init.exec("sh", "-c", "echo told; sleep 6666 & exit 5", timeout=30)
print(done.returncode, done.stdout)
stubborn = "trap '' TERM INT; sleep 7775"
refused(lambda: init.exec("sh", "-c", stubborn, capture=False, timeout=0.5), 0.5)
refused(lambda: init.exec("sleep", "7776", input=b"x" * 9_000_000, timeout=0.5), 0.5)
try:
    with init.popen("sh", "-c", "sleep 7777 & sleep 7778") as left:
        time.sleep(0.2)
        1 / 0
except ZeroDivisionError:
    print(left.returncode)
children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
print(*(name for each in children if "shim" in (name := Path(f"/proc/{each}/comm").read_text())))
refused(lambda: box.wait(timeout=0.5), 0.5)
refused(lambda: box.wait(timeout=0), 0)
assert box.status == "running"
brief = Container.run("sh", "-c", "sleep 0.3; exit 4", network="none", host=host)
assert brief.wait(timeout=30) == 4 == brief.wait(timeout=0)
assert box.exec("sleep", "0.1", timeout=30).returncode == 0
# What a command leaves behind on purpose stays, if it has let go of its streams.
box.exec("sh", "-c", "sleep 8888 >/dev/null 2>&1 &", timeout=30)
"""
)


def _processes(host: Machine, word: str) -> list[str]:
    """Processes of a host with a word in their command line, those not yet reaped included."""
    code = (
        "import glob, sys\n"
        "for path in glob.glob('/proc/[0-9]*'):\n"
        "    try:\n"
        "        state = open(path + '/stat').read().rpartition(')')[2].split()[0]\n"
        "        words = open(path + '/cmdline').read().split(chr(0))\n"
        "    except OSError:\n"
        "        continue\n"
        "    name = ' '.join(words) if state != 'Z' else 'zombie'\n"
        "    if sys.argv[1] in name and sys.argv[0] not in name and sys.argv[1] not in words:\n"
        "        print(name)\n"
    )
    return host.run(sys.executable, "-c", code, word).stdout.splitlines()


def test_timeouts_leave_nothing(host: Machine) -> None:
    """What has not ended in time is killed and reaped, with all that it has started."""
    told = host.python(_TIMEOUTS.replace("SLOWNESS", str(SLOWNESS)), timeout=90).splitlines()
    in_time = "has not ended within 0.5 seconds"
    assert told == [
        f"command 'sleep' {in_time} and was killed",
        f"command 'sh' {in_time} and was killed",
        "5 b'told\\n'",
        f"command 'sh' {in_time} and was killed",
        f"command 'sleep' {in_time} and was killed",
        "137",
        "",
        f"container 'box' {in_time}",
        "container 'box' has not ended within 0 seconds",
    ]
    assert not _processes(host, "sleep 777")
    wait_for(lambda: not _processes(host, "zombie"), what="what was killed is not reaped")
    assert len(_processes(host, "sleep 8888")) == 1
    assert len(_processes(host, "sleep 6666")) == 1
    assert host.ny("ps", "--format", "{{.Names}}").split() == ["init", "box"], "they go on"


_LOGS = (
    _MADE
    + """
told = Container.run("sh", "-c", "for n in 1 2 3 4 5; do echo $n; sleep 0.4; done",
                     name="told", network=net, host=host)
told.wait(timeout=60)
records = list(told.logs())
assert [each.data for each in records] == [b"%d\\n" % n for n in range(1, 6)]
def shown(**words):
    return b"".join(each.data for each in told.logs(**words)).decode().split()
third = records[2].time
# Before it by more than a float of seconds is off.
moment = datetime.fromisoformat(third[:26] + "+00:00") - timedelta(milliseconds=1)
assert shown(since=third) == ["3", "4", "5"], "RFC 3339, to the nanosecond"
assert shown(until=third) == ["1", "2", "3"]
assert shown(since=third, until=records[3].time) == ["3", "4"]
assert shown(since=moment) == ["3", "4", "5"] and shown(since=moment.timestamp()) == ["3", "4", "5"]
assert shown(since=moment.astimezone(timezone(timedelta(hours=5)))) == ["3", "4", "5"]
assert shown(since=datetime.fromtimestamp(moment.timestamp())) == ["3", "4", "5"], "local time"
assert shown(since="10m") == ["1", "2", "3", "4", "5"] and shown(since="1ms") == []
assert shown(until=third, tail=2) == ["2", "3"] and shown(since=third, tail=2) == ["4", "5"]
assert shown(tail=0) == [] and shown(follow=True, since=third) == ["3", "4", "5"]
endless = Container.run("sh", "-c", "while :; do echo tick; sleep 0.1; done", name="endless",
                        network=net, host=host)
begun = time.time()
ticks = list(endless.logs(follow=True, until=begun + 1.5))
assert 1 <= time.time() - begun < 30 and 2 <= len(ticks) <= 16
assert ticks[-1].time <= datetime.fromtimestamp(begun + 1.5, timezone.utc).isoformat()
print(third)
"""
)


def test_logs_of_a_time(host: Machine) -> None:
    """Since and until: a `datetime`, seconds or Docker's words; the command has the same."""
    third = host.python(_LOGS)
    assert host.ny("logs", "--since", third, "told").split() == ["3", "4", "5"]
    assert host.ny("logs", "--until", third, "-n", "1", "told") == "3"
    assert host.ny("logs", "--since", "1h", "told").split() == ["1", "2", "3", "4", "5"]
    assert "--since: 'soon' is no time" in host.refused("logs", "--since", "soon", "told")


_EVENTS = (
    _MADE
    + """
import threading
everything = host.events(until=time.time() + 60)
deaths = host.events(filters=["type=container", "event=die", "container=short"])
seen = []
def follow():
    own = Host()
    for event in own.events(since="1h", filters="network=net"):
        seen.append(event)
        if event.action == "destroy":
            return
follower = threading.Thread(target=follow, daemon=True)
follower.start()
short = Container.run("sh", "-c", "exit 5", name="short", network=net, host=host)
short.wait(timeout=60)
# What has been done since the call is in it, though nothing has been asked for yet.
death = next(deaths)
assert isinstance(death, Event)
assert (death.type, death.action, death.id, death.name) == ("container", "die", short.id, "short")
assert death.attributes["exitCode"] == "5" and death.scope == "local"
assert abs(death.time - datetime.now(timezone.utc)) < timedelta(minutes=1)
assert death.time_ns // 1000 == int(death.time.timestamp() * 1_000_000)
assert pickle.loads(pickle.dumps(death)) == death and len({death, death}) == 1
first = [next(everything).action for _ in range(3)]
assert sorted(first) == ["connect", "create", "start"], first
short.remove()
box.remove(force=True)
net.remove()
follower.join(60)
assert [each.action for each in seen] == [
    "create", "connect", "connect", "disconnect", "disconnect", "destroy"
], [each.action for each in seen]
told = [each.action for each in host.events(follow=False, filters="container=short")]
assert sorted(told) == ["connect", "create", "destroy", "die", "disconnect", "start"], told
assert told == [each.action for each in host.events(follow=False, filters=f"container={short.id}")]
joined = next(host.events(follow=False, filters=["container=short", "event=connect"]))
assert set(joined.attributes) == {"container", "name", "type"}, "as Docker tells it, and no more"
assert told[0] == "create" and told[-1] == "destroy"
assert list(host.events(since=death.time_ns / 1e9 + 3600, follow=False)) == []
with host.events() as closable:
    threading.Timer(0.3, closable.close).start()
    assert list(closable) == [], "who waits for the next finds the end"
with host.events(since="1h") as half:
    assert next(half).action == "create"
assert next(half, None) is None
before = list(host.events(until=death.time, follow=False, filters=["event=die", "event=start"]))
assert [each.name for each in before] == ["box", "short", "short"][: len(before)], before
print("held")
"""
)


def test_events_are_followed(host: Machine) -> None:
    """As ``netyard events`` does, from the call on, as values."""
    assert host.python(_EVENTS) == "held"
    lines = host.ny("events", "--since", "1h", "--until", "0s", "--filter", "container=short")
    told = {"Type", "Action", "Actor", "scope", "time", "timeNano"}
    assert all(set(json.loads(line)) == told for line in lines.splitlines())
    assert [json.loads(line)["Action"] for line in lines.splitlines()][-1] == "destroy"


_ADOPTED = (
    _MADE
    + """
subprocess.run(["ip", "netns", "add", "lab"], check=True)
lab = Container.adopt("lab", netns="/run/netns/lab", network=net, publish="8080:80", host=host)
for call in (lambda: lab.wait(0.2), lambda: lab.wait(), lambda: lab.kill("TERM")):
    try:
        call()
    except Forbidden as error:
        print(error)
for network in ({"net": {"ip": "10.81.0.77"}}, b"net"):
    try:
        Container.create("true", network=network, host=host)
    except Invalid as error:
        print(error)
for call in (
    lambda: box.remove(force="no"), lambda: net.remove(force=1), lambda: Container.list(all="no"),
    lambda: Container.get("box", host="/run/r"), lambda: box.popen("true").wait("5"),
    lambda: box.popen("true").wait(-1), lambda: box.popen("true").wait(float("nan")),
):
    try:
        call()
    except Invalid as error:
        print(error.field)
with Network.create("gone", host=host) as gone:
    gone.remove()
"""
)


def test_adopted_namespaces_have_no_process_to_wait_for(host: Machine) -> None:
    """They are refused, and stay as they were; so are networks that would be read by their keys."""
    told = host.python(_ADOPTED).splitlines()
    assert told[:2] == ["container 'lab' is adopted: netyard waits for nothing in it"] * 2
    assert told[2] == "container 'lab' is adopted: netyard kills nothing in it"
    assert all("must be the name of a network" in line for line in told[3:5])
    assert told[5:] == ["force", "force", "all", "host", "timeout", "timeout", "timeout"]
    assert Guest(host, "box").run("true").returncode == 0
    assert host.ny("inspect", "-f", "{{.State.Status}}", "lab") == "running"
    assert host.run("ip", "netns", "exec", "lab", "ping", "-c1", "-W1", "10.81.0.2").returncode == 0
