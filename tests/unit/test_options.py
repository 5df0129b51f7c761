"""What users type, judged one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netyard import errors
from netyard.values import parse


@pytest.mark.parametrize("name", ["a", "my-net", "A.b_c-9", "0", "x" * 60])
def test_good_names(name: str) -> None:
    """NC1."""
    assert parse.parse_name("name", name) == name


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "é", "a\n", "x" * 129, "a..b"])
def test_bad_names(name: str) -> None:
    """NC1, SH27."""
    with pytest.raises(errors.Invalid):
        parse.parse_name("name", name)


@given(st.text())
def test_no_text_is_more_than_invalid(text: str) -> None:
    """Whatever is typed, the answer is a value or one typed error, in one line."""
    for parsed in (
        parse.parse_subnet,
        parse.parse_address,
        parse.parse_mac,
        parse.parse_hostname,
        parse.parse_domain,
        parse.parse_extra_host,
        parse.parse_bool,
        parse.parse_name,
    ):
        try:
            parsed("--flag", text)
        except errors.Invalid as error:
            assert "\n" not in str(error)


def test_booleans() -> None:
    """CV8."""
    for word in ("1", "t", "true", "TRUE", "True"):
        assert parse.parse_bool("x", word) is True
    for word in ("0", "f", "false", "FALSE", "False"):
        assert parse.parse_bool("x", word) is False


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("db:10.0.0.1", ("db", "10.0.0.1")),
        ("db=10.0.0.1", ("db", "10.0.0.1")),
        ("db:[fd00::1]", ("db", "fd00::1")),
        ("db:fd00::1", ("db", "fd00::1")),
        ("gw:host-gateway", ("gw", "host-gateway")),
    ],
)
def test_extra_hosts(text: str, wanted: tuple[str, str]) -> None:
    """RN19."""
    assert parse.parse_extra_host("--add-host", text) == wanted
