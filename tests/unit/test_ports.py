"""Publish and expose syntax (contract PB1 to PB8)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netyard import errors, ports


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
        for each in ports.parse_publish(text)
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


def test_expose() -> None:
    """PB8."""
    assert ports.parse_expose("80") == [(80, "tcp")]
    assert ports.parse_expose("7000-7002/udp") == [(7000, "udp"), (7001, "udp"), (7002, "udp")]
    for bad in ("x", "0", "9-8", "80/x"):
        with pytest.raises(errors.Invalid):
            ports.parse_expose(bad)
