"""Every parameter of every public function, given what nobody would: one typed error, no change."""

from __future__ import annotations

import json
import sys

import pytest

from lab import Machine

_PROGRAM = r"""
import inspect, json, traceback
from netyard import *

host = Host()
net = Network.create("net", subnet="10.81.0.0/24")
box = Container.run("sleep", "600", name="box", network=net)
ended = Container.run("true", name="ended", network=net)
ended.wait()
cat = box.popen("cat")

class Odd:
    def __repr__(self):
        raise RuntimeError("no repr")

# No text that anything takes, alone and within what holds texts.
NEVER = [
    within(bad)
    for bad in ("a\0b", "\0", "\ud800")
    for within in (lambda bad: bad, lambda bad: [bad], lambda bad: {bad: "1"}, lambda bad: {"a.b": bad})
]
# Right for one parameter or another, and else an error of ours.
MANY = "9" * 5000
ODD = [
    "", MANY, f"-{MANY}", f"net/{MANY}", f"1:{MANY}", "no", "é", "x" * 300, b"x", None,
    10**30, -(10**30), 10**5000, -1, 2**63, 2**64, 1.5, float("nan"), float("inf"), 1e300,
    [10**5000], {10**5000}, {"mtu": 10**5000}, {"a.b": MANY},
    Odd(), [Odd()], {"a": Odd()}, object, net, host,
]
def requested(**given):
    return Container.create("true", name="new", network=NetworkRequest(**given))

# Of each function the words and settings that go with the parameter that is tried.
CALLS = {
    "create": (Container.create, ["true"], {"name": "new", "network": "net"}),
    "run": (Container.run, ["true"], {"name": "new", "network": "net"}),
    "adopt": (Container.adopt, [], {"name": "new", "pid": 1, "network": "net"}),
    "get": (Container.get, [], {"wanted": "box"}),
    "list": (Container.list, [], {}),
    "network create": (Network.create, [], {"name": "new"}),
    "network get": (Network.get, [], {"wanted": "net"}),
    "network list": (Network.list, [], {}),
    "connect": (net.connect, [], {"container": "ghost"}),
    "disconnect": (net.disconnect, [], {"container": "ghost"}),
    "network inspect": (net.inspect, [], {}),
    "network remove": (net.remove, [], {}),
    "start": (ended.start, [], {"attached": -1}),
    "stop": (ended.stop, [], {}),
    "kill": (ended.kill, [], {}),
    "wait": (ended.wait, [], {}),
    "exec": (box.exec, ["true"], {}),
    "popen": (box.popen, ["true"], {}),
    "logs": (box.logs, [], {}),
    "rename": (box.rename, [], {"name": "ended"}),
    "remove": (box.remove, [], {}),
    "add ports": (ended.add_ports, [], {}),
    "remove ports": (ended.remove_ports, [], {}),
    "events": (host.events, [], {"follow": False}),
    "prune": (host.networks.prune, [], {"filters": "label=none"}),
    "join": (host.members.join, [], {"etcd": "http://127.0.0.1:9", "advertise": "10.9.9.9"}),
    "member": (host.members.get, [], {"wanted": "box"}),
    "host": (Host, [], {}),
    "execution wait": (cat.wait, [], {"timeout": 0}),
    "execution kill": (cat.kill, [], {"number": -1}),
    "write": (cat.stdin.write, [], {"data": b""}),
    "request": (requested, [], {"network": "net"}),
}
SIGNATURES = {"run": Container.create, "request": NetworkRequest}
# Some of these would be right for it, and end the test: it waits for ever.
LEFT_OUT = {("execution wait", "timeout")}

def call(name, about, value):
    function, words, given = CALLS[name]
    if about.kind is inspect.Parameter.VAR_POSITIONAL:
        return function(*words, value, **given)
    return function(*words, **{**given, about.name: value})

def undo(name, made):
    if name in ("create", "run", "network create", "request"):
        made.remove(force=True)
    elif name == "rename":
        box.rename("box")
    elif name == "popen":
        made.wait()
    elif name in ("logs", "events"):
        list(made)

def complaint(name, about, value, never):
    try:
        made = call(name, about, value)
    except NetyardError as error:
        is_one = "\n" not in str(error) or isinstance(error, Several)
        return None if is_one else f"two lines: {error}"
    except BaseException:
        return traceback.format_exc(limit=-2)
    undo(name, made)
    return "is taken" if never else None

wrong, tried = [], 0
for name in CALLS:
    for about in inspect.signature(SIGNATURES.get(name, CALLS[name][0])).parameters.values():
        takes_text = "str" in str(about.annotation)
        values = [(each, False) for each in ODD if (name, about.name) not in LEFT_OUT]
        values += [(each, True) for each in NEVER if takes_text]
        for number, (value, never) in enumerate(values):
            tried += 1
            found = complaint(name, about, value, never)
            if found:
                wrong.append(f"{name}: {about.name}, value {number}, {type(value).__name__}: {found}")
for each in [*Container.list(all=True), *Network.list()]:
    if each.name not in ("box", "ended", "net", "bridge", "host", "none"):
        wrong.append(f"{each} is left")
print(json.dumps({"wrong": wrong, "tried": tried}))
"""


@pytest.mark.timeout(600)
def test_any_argument(host: Machine) -> None:
    """NUL characters, halves of surrogate pairs, huge numbers, and things of all kinds."""
    done = host.run(sys.executable, "-c", _PROGRAM, timeout=500)
    found = json.loads(done.stdout)
    assert found["tried"] > 4000
    assert not found["wrong"], "\n".join(found["wrong"])
