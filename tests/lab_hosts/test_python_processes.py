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
