"""Names that a container or a user chooses, and the kernel hands on as the bytes they are."""

from __future__ import annotations

import sys

from lab import Machine

# No UTF-8; what ends a process's name in its stat; what Python takes for ends of lines.
_PROCESS = b"a\xff) R 1 ("
_LINK = r"$(printf 'a\377b')"
_PEER = r"$(printf 'p\302\205q')"
_MOUNTS = (r"$(printf '/run/m\377')", r"$(printf '/run/a\013b\013c\302\205d')", "/run/é")


def test_a_process_calls_itself_what_it_likes(host: Machine) -> None:
    """C4, D: every command of the root goes on, those about this container as well."""
    code = f"import ctypes, time; ctypes.CDLL(None).prctl(15, {_PROCESS!r}); print('named', flush=True); time.sleep(600)"
    host.ny("run", "-d", "--name", "box", "--network", "none", sys.executable, "-S", "-c", code)
    host.netyard("exec", "box", sys.executable, "-S", "-c", code.replace("600", "0"))
    host.ny("run", "-d", "--name", "other", "--network", "none", "sleep", "600")
    assert host.ny("inspect", "-f", "{{.State.Status}}", "box") == "running"
    assert len(host.ny("top", "box").splitlines()) == 2
    assert host.ny("exec", "box", "echo", "entered") == "entered"
    ended = host.run(
        *(sys.executable, "-c"),
        "import netyard\n"
        "try: netyard.Container.get('box').exec('sleep', '60', timeout=0.2)\n"
        "except netyard.TimedOut: print('ended')",
    )
    assert ended.stdout == "ended\n"
    assert host.ny("stats", "--no-stream").count("\n") == 2
    assert host.ny("stop", "-t", "0", "box", "other") == "box\nother"


def test_interfaces_of_a_container(host: Machine) -> None:
    """With NET_ADMIN a container renames and makes interfaces."""
    host.ny("network", "create", "other")
    words = "run -d --name box --cap-add NET_ADMIN sleep 600".split()
    host.ny(*words)
    script = f'ip link set lo name "{_LINK}"; ip link add "{_PEER}" type veth peer name x'
    host.ny("exec", "box", "sh", "-ec", script)
    assert "box" in host.ny("stats", "--no-stream")
    host.ny("network", "connect", "other", "box")
    host.ny("network", "disconnect", "other", "box")
    assert host.ny("stop", "-t", "0", "box") == "box"
    assert host.ny("start", "box") == "box"


def test_interfaces_and_mounts_of_others(host: Machine) -> None:
    """A namespace that is adopted, and places where users of the host have mounted something."""
    host.run("ip", "netns", "add", "odd")
    script = f'ip -n odd link add "{_LINK}" type veth peer name "{_PEER}"\n'
    script += f'ip -n odd addr add 10.9.9.1/24 dev "{_LINK}"\n'
    script += "".join(f'mkdir "{at}"; mount -t tmpfs none "{at}"\n' for at in _MOUNTS)
    host.run("sh", "-ec", script)
    host.ny("network", "create", "other")
    host.ny("adopt", "odd", "--netns", "/run/netns/odd", "--network", "other")
    again = host.netyard("adopt", "twice", "--netns", "/run/netns/odd", check=False)
    assert again.stderr == "netyard: this namespace is container 'odd' already\n"
    for how in ("system", "ephemeral", "read-only"):
        assert host.ny("run", "--rm", "--host-files", how, "echo", "ran") == "ran"
    host.ny("abandon", "odd")
    assert "Traceback" not in host.netyard("doctor").stderr
