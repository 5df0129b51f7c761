"""Every parameter of every public function, given what nobody would: one typed error, no change."""

from __future__ import annotations

import json

from lab import Machine

_PROGRAM = r"""
import inspect, json, sys
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
NEVER = ["a\0b", "\ud800", "\0"]
NEVER_WITHIN = [lambda bad: bad, lambda bad: [bad], lambda bad: {bad: "1"}, lambda bad: {"a.b": bad}]
# What is right for one parameter or another, but never an error of another kind.
ODD = ["", "9" * 5000, "-" + "9" * 5000, "net/" + "9" * 5000, "no", "é", "x" * 300, 10**30, -(10**30), 10**5000, -1, 2**63,
       2**64, 1.5, float("nan"), float("inf"), 1e300, b"x", None, Odd(), [Odd()], {"a": Odd()},
       {"mtu": 10**5000}, {"a.b": "9" * 5000}, [10**5000], {10**5000}, "1:" + "9" * 5000, object, net, host]
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
    "wait for it": (cat.wait, [], {"timeout": 0}),
    "kill it": (cat.kill, [], {"number": -1}),
    "write": (cat.stdin.write, [], {"data": b""}),
    "request": (lambda **given: Container.create("true", name="new", network=NetworkRequest(**given)),
                [], {"network": "net"}),
}
# What it would be right to do: not now.
HARMFUL = {("network remove", "force"), ("remove", "force"), ("wait for it", "timeout"), ("kill it", "number")}
wrong, tried = [], 0

def attempt(name, parameter, value, *, never):
    global tried
    tried += 1
    function, words, given = CALLS[name]
    if parameter in ("command", "wanted") and "*" in parameter_kind(name, parameter):
        words = [*words, value]
    else:
        given = {**given, parameter: value}
    said = f"{name}({parameter}={type(value).__name__} {ascii(value)[:40] if not 'Odd' in str(type(value)) and not isinstance(value, (list, dict, set, int)) else ''})"
    try:
        made = function(*words, **given)
    except NetyardError as error:
        str(error).encode("utf-8", "surrogatepass")
        if "\n" in str(error) and not isinstance(error, Several):
            wrong.append(f"{said}: two lines")
        return
    except BaseException as error:
        import traceback
        wrong.append(f"{said}: {type(error).__name__}: {str(error)[:100]} {traceback.format_tb(error.__traceback__)[-1][:200]}")
        return
    if never:
        wrong.append(f"{said}: taken")
    if name in ("create", "run", "network create", "request"):
        made.remove(force=True)
    if name == "rename":
        box.rename("box")
    if name == "popen":
        made.wait()
    if name in ("logs", "events"):
        list(made)

def parameter_kind(name, parameter):
    kind = parameters(name)[parameter].kind
    return "*" if kind is inspect.Parameter.VAR_POSITIONAL else ""

def parameters(name):
    of = {"run": Container.create, "request": NetworkRequest}.get(name, CALLS[name][0])
    return inspect.signature(of).parameters

for name in CALLS:
    for parameter, about in parameters(name).items():
        note = str(about.annotation)
        takes_text = "str" in note and "bytes" not in note
        for bad in NEVER:
            for within in NEVER_WITHIN:
                if takes_text:
                    attempt(name, parameter, within(bad), never=True)
        for value in ODD:
            if (name, parameter) not in HARMFUL and not (name == "kill" and value == ""):
                attempt(name, parameter, value, never=False)
cat.stdin.close()
cat.wait()
for each in [*Container.list(all=True), *Network.list()]:
    if each.name not in ("box", "ended", "net", "bridge", "host", "none"):
        wrong.append(f"{each} is left")
print(json.dumps({"wrong": wrong, "tried": tried}))
"""


def test_any_argument(host: Machine) -> None:
    """NUL characters, halves of surrogate pairs, huge numbers, and things of all kinds."""
    found = json.loads(host.python(_PROGRAM))
    assert found["tried"] > 4000
    assert not found["wrong"], "\n".join(found["wrong"])
