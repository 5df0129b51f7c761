"""What others have put where root looks: their Python, their directories, their FIFOs and links.

Each of them is harmless here: a marker that must not appear, an open that must not wait.
"""

from __future__ import annotations

import sys

from lab import Machine

# As installers write it.
_SCRIPT = "import sys\nfrom netyard.cli.main import main\nsys.exit(main())\n"
_MARK = "open('/run/marker', 'a').write(__file__)\n"


def test_a_caller_s_directory_holds_no_modules(host: Machine) -> None:
    """A6: neither netyard nor what it imports is taken from there, by any process it starts."""
    host.run("mkdir", "-p", "/run/bin", "/run/planted/http", "/run/planted/netyard")
    host.run("tee", "/run/bin/netyard", input=_SCRIPT)
    for name in ("netyard.py", "netyard/__init__.py", "socket.py", "json.py", "http/__init__.py"):
        host.run("tee", f"/run/planted/{name}", input=_MARK)
    command = f"cd /run/planted && {sys.executable} /run/bin/netyard"
    host.run("sh", "-c", f"{command} demo bridge", timeout=120)
    host.run("sh", "-c", f"{command} network create net")
    host.run("sh", "-c", f"{command} run --network net true")
    host.run("sh", "-c", f"{command} ps")
    assert host.run("cat", "/run/marker", check=False).stdout == ""


def test_netyard_starts_itself_and_no_other(host: Machine) -> None:
    """A6: by its path, also where Python prefers a package of the same name."""
    code = "import netyard, sys; from netyard.runtime.own_command import own_command as own; "
    code += "sys.stdout.write(' '.join(own('version')))"
    words = host.python(code).split()
    host.run("mkdir", "-p", "/run/planted/netyard")
    host.run("tee", "/run/planted/netyard/__init__.py", input=_MARK)
    done = host.run(*words, env={"PYTHONPATH": "/run/planted"})
    assert done.stdout == host.netyard("version").stdout
    assert host.run("cat", "/run/marker", check=False).stdout == ""
