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
