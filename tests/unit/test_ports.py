"""Publish and expose syntax (contract PB1 to PB8)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netyard import errors
from netyard.lifecycle import change_ports
from netyard.values import ports
from netyard.values.ports import PortRequest


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("8080:80", [(80, "tcp", None, [8080])]),
        ("192.0.2.10:8080:80", [(80, "tcp", "192.0.2.10", [8080])]),
        ("8080:80/UDP", [(80, "udp", None, [8080])]),
        ("80", [(80, "tcp", None, [])]),
        (":80", [(80, "tcp", None, [])]),
        ("0:80", [(80, "tcp", None, [])]),
        ("127.0.0.1::80", [(80, "tcp", "127.0.0.1", [])]),
        ("[::1]:8080:80", [(80, "tcp", "::1", [8080])]),
        ("::1:8080:80", [(80, "tcp", "::1", [8080])]),
        ("8000-8002:80", [(80, "tcp", None, [8000, 8001, 8002])]),
        ("8000-8001:90-91", [(90, "tcp", None, [8000]), (91, "tcp", None, [8001])]),
        ("90-91", [(90, "tcp", None, []), (91, "tcp", None, [])]),
        ("published=8080,target=80,protocol=udp", [(80, "udp", None, [8080])]),
        ("target=80,host_ip=127.0.0.1", [(80, "tcp", "127.0.0.1", [])]),
    ],
)
def test_good_forms(text: str, wanted: list[tuple[int, str, str | None, list[int]]]) -> None:
    """Every form of the contract."""
    found = [
        (
            each.container_port,
            each.protocol,
            str(each.host_ip) if each.host_ip else None,
            list(each.host_ports),
        )
        for each in ports.singly(ports.parse_publish(text))
    ]
    assert found == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "65536",
        "8080:0",
        "8080:65536",
        "70000:80",
        "a:80",
        "80:b",
        "8080:80/icmp",
        "8080:",
        "8000-8001:80-82",
        "82-80:1-3",
        "999.0.0.1:80:80",
        "[::1:80:80",
        "fe80::1%eth0:80:80",
        "-1:80",
        "published=80",
        "target=80,mode=host",
        "target=80,x",
        "80:80:80:80",
        "１:80",
    ],
)
def test_bad_forms(text: str) -> None:
    """One sentence each, naming what was typed."""
    with pytest.raises(errors.Invalid) as caught:
        ports.parse_publish(text)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="0123456789:-/[]abcdef.=,tcpud", max_size=40))
def test_the_parser_never_breaks(text: str) -> None:
    """A value or `Invalid`; ports within their range."""
    try:
        found = ports.parse_publish(text)
    except errors.Invalid:
        return
    for each in found:
        assert 1 <= each.container_port <= 65535
        assert all(1 <= port <= 65535 for port in each.host_ports)


_PORTS = st.integers(1, 40)
_RANGES = st.builds(
    lambda host, inside, length: PortRequest(
        inside, "tcp", None, range(host, host + length), "", length
    ),
    *(_PORTS, _PORTS, st.integers(1, 12)),
)


def _pairs(requests: Iterable[PortRequest]) -> list[tuple[int, int]]:
    return [(each.host_ports[0], each.container_port) for each in ports.singly(requests)]


@given(st.lists(st.tuples(_PORTS, _PORTS, st.sampled_from(["", "/udp"]))))
def test_ports_in_a_row_are_the_same_ports(wanted: list[tuple[int, int, str]]) -> None:
    """However they are told: one by one, joined, in few words."""
    # As many as are kept in few words, and then these.
    many = [(1000 + number, 2000 + number, "") for number in range(40)]
    texts = [f"{host}:{inside}{end}" for host, inside, end in (*many, *wanted)]
    asked = [each for text in texts for each in ports.parse_publish(text)]
    few = ports.compacted(texts)
    assert few[0] == "1000-1039:2000-2039"
    again = [each for text in few for each in ports.parse_publish(text)]
    for others in (again, ports.joined(asked), ports.joined(again)):
        assert [each[:4] for each in _compared(others)] == [each[:4] for each in _compared(asked)]


def _compared(requests: Iterable[PortRequest]) -> list[tuple[object, ...]]:
    return [
        tuple(each._replace(host_ports=list(each.host_ports))) for each in ports.singly(requests)
    ]


@given(st.lists(_RANGES, min_size=1, max_size=4), st.lists(_RANGES, max_size=4))
def test_what_is_taken_back_is_gone_and_the_rest_is_left(
    wanted: list[PortRequest], gone: list[PortRequest]
) -> None:
    """Parts of ranges, in what a container is to publish when it starts again."""
    published = change_ports.Published([each.typed() for each in wanted])
    published.take(gone)
    left = [each for text in published.texts() for each in ports.parse_publish(text)]
    expected = [pair for pair in _pairs(wanted) if pair not in set(_pairs(gone))]
    assert sorted(_pairs(left)) == sorted(expected)


def test_expose() -> None:
    """PB8."""
    assert ports.parse_expose("80") == [(80, "tcp")]
    assert ports.parse_expose("7000-7002/udp") == [(7000, "udp"), (7001, "udp"), (7002, "udp")]
    for bad in ("x", "0", "9-8", "80/x"):
        with pytest.raises(errors.Invalid):
            ports.parse_expose(bad)
