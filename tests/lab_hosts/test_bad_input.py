"""Bad input to ``run`` and its like: one sentence, the right status, nothing changed."""

from __future__ import annotations

import pytest

from lab import Machine

REFUSED = {
    "-p 8080:0": "container port 0, which is not from 1 to 65535",
    "-p 65536:80": "host port 65536, which is not from 1 to 65535",
    "-p http:80": "host port 'http', which is no number",
    "-p 8080:80/icmp": "none of tcp, udp, sctp",
    "-p 8000-8001:80-85": "2 host ports for 6 container ports",
    "--expose 0": "--expose",
    "-h bad_host!": "no valid host name",
    "-h -x": "no valid host name",
    "--name bad/name": "no valid name",
    "--name a": "2 to 128 characters",
    "--name taken": "a container named 'taken' exists",
    "--network ghost": "no network 'ghost'",
    "--network net --network net": "given twice",
    "--network net --network host": "cannot be joined with other networks",
    "--network bridge --network net": "cannot be joined with others",
    "--network none --ip 10.0.0.2": "--ip cannot be used with --network none",
    "--network host --network-alias x": "--network-alias cannot be used with --network host",
    "--network net --ip 10.80.1.1": "is in no subnet of network 'net'",
    "--network net --ip6 fd00::5": "has no IPv6",
    "--network net --network-alias a..b": "cannot be resolved",
    "--network-alias x": "neither static addresses nor names",
    "--dns nine": "--dns: 'nine' is no IP address",
    "--dns-search 1.2": "no domain name",
    "--add-host db": "must be NAME:ADDRESS",
    "--add-host db:x": "no IP address",
    "--mac-address 01:00:00:00:00:01 --network net": "no unicast address",
    "-u ghost": "no user 'ghost'",
    "-u 4294967295": "--user: '4294967295' must be a number from 0 to 4294967294",
    "-u 0:4294967295": "--user: '4294967295' must be a number from 0 to 4294967294",
    "-u 1:-1": "--user: '-1' must be a number from 0 to 4294967294",
    "--cap-add FLY": "no capability",
    "--rootfs /no/where": "no directory",
    "-w /no/where": "change to directory /no/where: No such file",
}


@pytest.fixture
def prepared(host: Machine) -> Machine:
    """A host with a network, a container, and the default bridge in use."""
    host.ny("network", "create", "--subnet", "10.80.0.0/24", "net")
    host.ny("run", "-d", "--name", "taken", "sleep", "600")
    return host


def test_bad_run(prepared: Machine) -> None:
    """CV1, CV3, and the rows of each flag."""
    before = prepared.snapshot()
    for flags, words in REFUSED.items():
        complaint = prepared.refused("run", "-d", *flags.split(), "sleep", "9", status=125)
        assert words in complaint, (flags, complaint)
        assert len([line for line in complaint.splitlines() if line.startswith("netyard:")]) == 1
    assert prepared.snapshot() == before


def test_everything_wrong_is_said_at_once(prepared: Machine) -> None:
    """CV6."""
    complaint = prepared.refused(*"run -p 0 -p 80:99999 --dns x -h _!_ true".split(), status=125)
    assert len(complaint.splitlines()) == 4


def test_unknown_names(prepared: Machine) -> None:
    """Not found, each with status 1."""
    for command in (
        "start ghost",
        "stop ghost",
        "rm ghost",
        "logs ghost",
        "port ghost",
        "inspect ghost",
        "attach ghost",
        "abandon ghost",
        "network inspect ghost",
        "network rm ghost",
        "network connect ghost taken",
        "network connect net ghost",
        "network disconnect net ghost",
    ):
        assert "ghost" in prepared.refused(*command.split())
    assert "not published" not in prepared.refused("port", "taken", "80")
    prepared.refused("ps", "--no-such-flag", status=2)
    prepared.refused("no-such-command", status=2)
    assert "not adopted" in prepared.refused("abandon", "taken")
