"""What Python callers run in containers: ended in time, waited for, refused in one sentence."""

from __future__ import annotations

from lab import SLOWNESS, Machine

_MADE = """
import os, sys, threading, time
from netyard import *
host = Host()
box = Container.run("sleep", "600", name="box", network="none", host=host)
"""

_ENDLESS = (
    _MADE
    + """
# Beside a thread that is busy, output waits whenever this one looks.
def busy():
    while True:
        pass
threading.Thread(target=busy, daemon=True).start()
def ended(call):
    begun = time.monotonic()
    try:
        call()
        print("ended by itself")
    except TimedOut as error:
        print(error, time.monotonic() - begun < 5 * SLOWNESS)
ended(lambda: box.exec("yes", timeout=0.5))
with box.popen("yes") as writer:
    ended(lambda: writer.wait(timeout=0.5))
    print(writer.returncode)
# It has ended, and what it has started writes on.
with box.popen("sh", "-c", "for n in 1 2 3; do cat /dev/zero & done; echo first >&2; exit 3") as left:
    print(left.wait(timeout=20))
    print(next(each.data for each in left if each.stream == "stderr"))
"""
)


def test_what_writes_without_end_is_ended_in_time(host: Machine) -> None:
    """The clock is looked at though output waits."""
    told = host.python(_ENDLESS.replace("SLOWNESS", str(SLOWNESS)), timeout=60).splitlines()
    assert told == [
        "command 'yes' has not ended within 0.5 seconds and was killed True",
        "command 'yes' has not ended within 0.5 seconds True",
        "None",
        "3",
        "b'first\\n'",
    ]


_REMOVED = (
    _MADE
    + """
import threading
def run(command, **more):
    return Container.run("sh", "-c", command, network="none", auto_remove=True, host=host, **more)
print(run("sleep 0.3; exit 3").wait(timeout=30))
print(run("exit 4").wait(timeout=30))
# Its supervisor has removed it before anything asks.
gone = run("exit 5")
while host.store.container(gone.id):
    time.sleep(0.02)
print(gone.wait(timeout=30), gone.wait())
killed = run("sleep 600")
killed.kill()
print(killed.wait(timeout=30))
# All that wait for one are told the same.
shared, told = run("sleep 0.5; exit 6"), []
def wait():
    told.append(Container(Host(), host.store.container(shared.id)).wait(timeout=30))
threads = [threading.Thread(target=wait) for _ in range(5)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(*told)
with host.batch():
    print(run("exit 7").wait(timeout=30))
never = Container.create("true", network="none", host=host)
never.remove()
try:
    never.wait()
except NotFound as error:
    print("has been removed" in str(error))
print(len(host.containers.list(all=True)))
"""
)


def test_those_removed_with_their_end_tell_how_they_ended(host: Machine) -> None:
    """`wait` has the command's status though nothing else of the container is left."""
    told = host.python(_REMOVED).splitlines()
    assert told == ["3", "4", "5 5", "137", "6 6 6 6 6", "7", "True", "1"]


_REFUSED = (
    _MADE
    + """
import array
def refused(call, *wanted):
    try:
        print("taken", call())
    except NetyardError as error:
        told = f"{type(error).__name__}: {error}"
        assert all(each in told for each in wanted), told
long = "x" * 200_000
told = ("StartFailed: command 'echo' cannot be executed", "longer than the kernel takes", "131072")
refused(lambda: box.exec("echo", long), *told)
refused(lambda: box.exec("echo", *["x" * 100_000] * 40), *told)
refused(lambda: box.popen("echo", long), *told)
refused(lambda: box.exec("echo", environment={"A": long}), *told)
refused(lambda: Container.run("echo", long, name="long", network="none", host=host), *told)
refused(lambda: Container.run("echo", environment={"A": long}, network="none", host=host), *told)
assert host.containers.list(all=True) == [box]
assert box.exec("cat", input=bytearray(b"abc")).stdout == b"abc"
assert box.exec("cat", input=memoryview(b"abcdef")[::2]).stdout == b"ace"
numbers = array.array("I", [1, 2])
assert box.exec("cat", input=memoryview(numbers)).stdout == numbers.tobytes()
with box.popen("cat") as cat:
    assert cat.stdin.write(memoryview(b"abcdef")[::2]) == 3
    assert cat.stdin.write(memoryview(numbers)) == 8
    cat.stdin.close()
    assert b"".join(each.data for each in cat) == b"ace" + numbers.tobytes()
before = len(os.listdir("/proc/self/fd"))
# It ends while commands are started in it, at any of their steps.
for number in range(60):
    brief = Container.run("sleep", f"0.0{number % 10}", name="brief", network="none", host=host)
    try:
        while True:
            if number % 2:
                brief.exec("true")
            else:
                with brief.popen("true") as each:
                    each.wait()
    except Conflict as error:
        assert str(error) == "container 'brief' is not running"
    brief.remove()
assert len(os.listdir("/proc/self/fd")) == before
net = Network.create("net", host=host)
host.close()
closed = "StoreError: the Host of /var/lib/netyard is closed"
for call in (
    lambda: box.status, lambda: box.exec("true"), lambda: host.networks.list(), host.batch().__enter__,
    lambda: net.connect(box), lambda: list(host.events(follow=False)), lambda: box.wait(),
    lambda: Container.run("true", host=host), lambda: net.remove(), lambda: box.remove(force=True),
):
    refused(call, closed)
print(repr(host), repr(net)[:12], repr(box) == f"<Container {box.id[:12]}>", host == Host())
"""
)


def test_what_cannot_be_is_one_sentence_of_a_type(host: Machine) -> None:
    """Too long a command, a container that is just ending, a host that is closed."""
    told = host.python(_REFUSED)
    assert told == "<Host /var/lib/netyard closed> <Network net True True"
