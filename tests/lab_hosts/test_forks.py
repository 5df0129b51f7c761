"""Processes forked off while something is being changed: they neither hold it up nor hang."""

from __future__ import annotations

from lab import Machine

_MADE = """
import contextlib, multiprocessing, os, signal, sys, threading, time, warnings
from netyard import *
warnings.simplefilter("ignore")
host = Host()
net = Network.create("net", host=host)
Network.get("net")
signal.alarm(40)
def child(work):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(20)
            work()
            status = 0
        except BaseException as error:
            print(repr(error), flush=True)
        finally:
            os._exit(status)
    return pid
def status(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def in_a_thread(work):
    begun, ends = threading.Event(), threading.Event()
    def run():
        with work(ends):
            begun.set()
            ends.wait()
    thread = threading.Thread(target=run)
    thread.start()
    begun.wait()
    return lambda: (ends.set(), thread.join())
"""

_HELD = (
    _MADE
    + """
end = in_a_thread(lambda _: host.change())
sleeper = child(lambda: time.sleep(8))
end()
begun = time.monotonic()
Network.create("after", host=Host())
print(time.monotonic() - begun < 4)
# The parent is killed in the midst of a change, and its child lives on.
parent = os.fork()
if parent == 0:
    own = Host()
    end = in_a_thread(lambda _: own.change())
    child(lambda: time.sleep(8))
    os.kill(os.getpid(), signal.SIGKILL)
print(status(parent))
begun = time.monotonic()
Network.create("after-that", host=host)
print(time.monotonic() - begun < 4)
os.kill(sleeper, signal.SIGKILL)
"""
)

_HANGS = (
    _MADE
    + """
@contextlib.contextmanager
def recorded(ends):
    with host.store.transaction():
        threading.Timer(0.5, ends.set).start()
        yield
for work in (lambda _: host.change(), lambda _: host.batch(), recorded):
    end = in_a_thread(work)
    # Reading needs nothing of what the parent is doing.
    print(status(child(lambda: host.networks.get("net").inspect())))
    print(status(child(lambda: Network.get("net").inspect())))
    writer = child(lambda: Network.create("of-child", host=host))
    default = child(lambda: Network.create("of-default"))
    time.sleep(0.3)
    end()
    print(status(writer), status(default))
    host.networks.get("of-child").remove()
    host.networks.get("of-default").remove()
# Within the block itself: it is the parent's to end.
box = Container.run("sleep", "600", name="box", network="net", host=host)
once = Network.create("once", host=host)
for is_failure in (False, True):
    with contextlib.suppress(ZeroDivisionError), host.batch():
        once.connect(box)
        pid = os.fork()
        if pid == 0 and is_failure:
            1 / 0
    if pid == 0:
        os._exit(7)
    print(status(pid))
    print([each.is_up for each in once.endpoints()])
    once.disconnect(box)
print(len(box.endpoints()), box.exec("true").returncode)
context = multiprocessing.get_context("fork")
def work(number):
    return Container.run("sh", "-c", f"exit {number}", network="net", host=host).wait(timeout=30)
with context.Pool(4) as pool:
    print(pool.map(work, range(8)))
print([each.name for each in host.networks.list()])
"""
)


def test_a_child_holds_no_lock(host: Machine) -> None:
    """Neither while its parent goes on, nor when the parent is killed in the midst of a change."""
    assert host.python(_HELD).splitlines() == ["True", "-9", "True"]


def test_a_child_does_not_hang(host: Machine) -> None:
    """It reads, and changes once its parent has ended what it was doing; it ends nothing itself."""
    told = host.python(_HANGS).splitlines()
    assert told[:9] == ["0", "0", "0 0"] * 3
    assert told[9:] == [
        *["7", "[True]"] * 2,
        "1 0",
        str(list(range(8))),
        "['bridge', 'host', 'net', 'none', 'once']",
    ]
