"""What processes call themselves reaches the terminal of whoever asks, as text and nothing else."""

from __future__ import annotations

import sys

from lab import HOST, Machine, wait_for

# Clears the screen, and begins a line that looks like another process.
_NAME = "a\x1b[2J\nroot 1 0\x9b7m"
_SEEN = "a\\x1b[2J\\nroot 1 0\\x9b7m"


def test_top_shows_arguments_as_text(host: Machine) -> None:
    """C4: a row a process, whatever it has for arguments."""
    code = "import time; time.sleep(600)"
    command = (sys.executable, "-S", "-c", code, _NAME)
    host.ny("run", "-d", "--name", "box", "--network", "none", *command)
    shown = host.netyard("top", "box").stdout
    assert len(shown.splitlines()) == 2
    assert shown.replace("\n", "").isprintable()
    assert _SEEN in shown


def test_a_port_s_holder_is_named_as_text(host: Machine) -> None:
    """C4: a process of the host or of a container with the host's network."""
    code = (
        "import ctypes, socket, time\n"
        f"ctypes.CDLL(None).prctl(15, {'x' + chr(27) + '[2J' + chr(10) + 'y'!r}.encode())\n"
        "s = socket.create_server(('0.0.0.0', 8080)); time.sleep(600)\n"
    )
    host.ny(*"run -d --name box --network host".split(), sys.executable, "-S", "-c", code)
    wait_for(lambda: ":8080" in host.out("ss", "-tln"))
    command = ("run", "-d", "-p", f"{HOST}:8080:80", "sleep", "9")
    complaint = host.netyard(*command, check=False).stderr
    assert "x\\x1b[2J\\ny (pid " in complaint
    assert complaint.count("\n") == 1
    assert complaint.strip().isprintable()
