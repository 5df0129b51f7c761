"""``--network container:NAME``: one network namespace for several containers."""

from __future__ import annotations

import pytest

from lab import Guest, Lab, Machine, wait_for

FORBIDDEN = {
    "--add-host": ["--add-host", "db:10.0.0.1"],
    "--hostname": ["--hostname", "other"],
    "--dns": ["--dns", "192.0.2.1"],
    "--dns-search": ["--dns-search", "example.org"],
    "--dns-option": ["--dns-option", "ndots:2"],
    "--mac-address": ["--mac-address", "02:00:00:00:00:99"],
    "--publish": ["--publish", "80:80"],
    "--publish-all": ["--publish-all"],
    "--expose": ["--expose", "80"],
}


@pytest.fixture
def redis(host: Machine) -> Machine:
    """A real Redis server bound to 127.0.0.1 in a container of its own."""
    host.ny("network", "create", "net")
    host.ny(*"run -d --name redis --network net redis-server --bind 127.0.0.1 --save".split(), "")
    answers = lambda: "PONG" in Guest(host, "redis").run("redis-cli", "ping", check=False).stdout  # noqa: E731
    wait_for(answers)
    return host


def test_redis_on_loopback_is_reached_from_a_joiner(redis: Machine) -> None:
    """RN5: the example of Docker's documentation, word for word but for the image."""
    joined = ["run", "--rm", "--network", "container:redis", "redis-cli", "-h", "127.0.0.1", "ping"]
    assert redis.ny(*joined) == "PONG"
    assert (
        redis.netyard("run", "--rm", "redis-cli", "-h", "127.0.0.1", "ping", check=False).stdout
        == ""
    )


def test_joiner_shares_files_and_hostname(redis: Machine) -> None:
    """RN5, EH6."""
    name = Guest(redis, "redis").run("hostname").stdout
    both = redis.netyard(
        "run", "--rm", "--network", "container:redis", "sh", "-c", "hostname; cat /etc/hostname"
    ).stdout
    assert both == name * 2


@pytest.mark.parametrize("flag", FORBIDDEN)
def test_forbidden_flag_is_refused_by_name(redis: Machine, flag: str) -> None:
    """RN6: each of the nine, before anything is created."""
    before = redis.snapshot()
    complaint = redis.refused(
        "run", "--rm", "--network", "container:redis", *FORBIDDEN[flag], "true", status=125
    )
    assert f"{flag} cannot be used with --network container:redis" in complaint
    assert len(complaint.splitlines()) == 1
    assert redis.snapshot() == before


def test_all_forbidden_flags_are_named_together(redis: Machine) -> None:
    """RN6, CV6."""
    flags = [word for words in FORBIDDEN.values() for word in words]
    complaint = redis.refused("run", "--network", "container:redis", *flags, "true", status=125)
    for flag in FORBIDDEN:
        assert f"{flag} cannot be used" in complaint


def test_targets_that_cannot_be_joined(host: Machine) -> None:
    """RN5: missing, stopped, empty."""
    assert "no container 'ghost'" in host.refused(
        "run", "--network", "container:ghost", "true", status=125
    )
    assert "needs a name" in host.refused("run", "--network", "container:", "true", status=125)
    host.ny("create", "--name", "idle", "sleep", "60")
    assert "not running" in host.refused("run", "--network", "container:idle", "true", status=125)


def test_namespace_lives_while_a_joiner_does(lab: Lab, host: Machine) -> None:
    """RN7a: the donor may stop and start again into the same namespace."""
    host.ny("network", "create", "net")
    host.ny("run", "-d", "--name", "donor", "--network", "net", "sleep", "600")
    host.ny("run", "-d", "--name", "joiner", "--network", "container:donor", "sleep", "600")
    namespace = Guest(host, "joiner").run("readlink", "/proc/self/ns/net").stdout
    assert "donor" in host.refused("rm", "-f", "donor")
    host.ny("stop", "-t", "0", "donor")
    assert host.ping(Guest(host, "donor").address("net")), "the joiner keeps the address"
    host.ny("start", "donor")
    assert Guest(host, "donor").run("readlink", "/proc/self/ns/net").stdout == namespace
    host.ny("rm", "-f", "joiner", "donor")
    assert host.ny("ps", "-aq") == ""
    assert host.out("ls", "/run/netyard/netns") == ""
