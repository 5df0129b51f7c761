"""A container's own /etc/hosts, resolv.conf and hostname: what it writes there harms only itself."""

from __future__ import annotations

from lab import Guest, Machine

_FILL = (
    "for each in hosts resolv.conf hostname; do head -c 9000000 /dev/zero >>/etc/$each; done; true"
)


def _used(host: Machine) -> int:
    return int(host.out("df", "-k", "--output=used", "/run").split()[-1])


def _mounts(host: Machine) -> list[str]:
    return host.out("findmnt", "-rn", "-t", "tmpfs", "-o", "TARGET").splitlines()


def test_a_container_fills_its_own_files_and_nothing_else(host: Machine) -> None:
    """B1: neither the host's memory nor others; it is connected and disconnected as before."""
    host.ny("network", "create", "one")
    host.ny("network", "create", "two")
    host.ny(*"run -d --name full --network one sleep 600".split())
    host.ny(*"run -d --name other --network one sleep 600".split())
    full, other = Guest(host, "full"), Guest(host, "other")
    before = _used(host)
    full.run("sh", "-c", _FILL)
    sizes = full.run("stat", "-Lc", "%s", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname").stdout
    assert 500_000 < sum(map(int, sizes.split())) <= 1 << 20
    assert _used(host) <= before + 100
    done = host.netyard("network", "connect", "two", "full", timeout=10)
    assert "warning: /etc/hosts of container 'full' stays as it is: No space left" in done.stderr
    assert full.address("two") in full.run("ip", "-4", "addr").stdout
    host.netyard("network", "disconnect", "one", "full", timeout=10)
    host.ny("network", "connect", "two", "other")
    assert other.address("two") in other.run("cat", "/etc/hosts").stdout
    host.ny(*"run -d --name late --network one sleep 600".split())
    assert Guest(host, "late").address("one") in Guest(host, "late").run("cat", "/etc/hosts").stdout
    host.ny("stop", "-t", "0", "full")
    host.ny("start", "full")
    assert full.address("two") in full.run("cat", "/etc/hosts").stdout, "anew with each start"
    host.ny("rm", "-f", "full", "other", "late")
    assert not [each for each in _mounts(host) if each.startswith("/run/netyard/c/")]
    assert host.out("ls", "/run/netyard/c") == ""


def test_what_a_container_adds_to_its_hosts_stays(host: Machine) -> None:
    """EH3, B1: also bytes that are no UTF-8, and for those who share its network."""
    host.ny("network", "create", "one")
    host.ny("network", "create", "two")
    host.ny(*"run -d --name box --network one sleep 600".split())
    host.ny(*"run -d --name joiner --network container:box sleep 600".split())
    box, joiner = Guest(host, "box"), Guest(host, "joiner")
    box.run("sh", "-c", r"printf '10.9.9.9 own\377name\n' >>/etc/hosts")
    host.ny("network", "connect", "two", "box")
    count = "LC_ALL=C grep -c $(printf 'own\\377name') /etc/hosts"
    assert joiner.run("sh", "-c", count).stdout == "1\n"
    assert joiner.run("grep", "-a", "-c", box.address("two"), "/etc/hosts").stdout == "1\n"
    host.ny("stop", "-t", "0", "box")
    host.ny("start", "box")
    assert joiner.run("cat", "/etc/hosts").stdout == box.run("cat", "/etc/hosts").stdout


def test_mounts_that_nobody_knows_are_taken_away(host: Machine) -> None:
    """B1: by repair, and when the store is lost."""
    host.ny(*"run -d --name box --network none sleep 600".split())
    host.ny("stop", "-t", "0", "box")
    here, lost = host.ny("inspect", "-f", "{{.Id}}", "box"), "f" * 64
    host.run("mkdir", "-p", f"/run/netyard/c/{lost}/etc")
    host.run("mount", "-t", "tmpfs", "tmpfs", f"/run/netyard/c/{lost}/etc")
    host.ny("repair")
    assert host.out("ls", "/run/netyard/c") == here
    host.run("tee", "/var/lib/netyard/netyard.db", input="no database")
    host.ny("repair", "--from-kernel", "--clean")
    assert not [each for each in _mounts(host) if each.startswith("/run/netyard/c/")]
    assert host.out("ls", "/run/netyard/c") == ""
