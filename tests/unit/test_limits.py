"""Limits as typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netyard.errors import Invalid
from netyard.runtime import cgroup
from netyard.values import limits
from netyard.values.spec import ContainerSpec


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("512b", 512),
        ("1k", 1024),
        ("1.5g", 3 << 29),
        ("64M", 64 << 20),
        ("2GiB", 2 << 30),
        ("2 gb", 2 << 30),
        ("1t", 1 << 40),
        (4096, 4096),
    ],
)
def test_sizes(text: str | int, size: int) -> None:
    """Docker's units, in either case."""
    assert limits.parse_size("--memory", text) == size


@given(st.one_of(st.text(max_size=20), st.from_regex(r"[0-9.]+[bkmgt]?", fullmatch=True)))
def test_any_word_is_a_limit_or_refused(text: str) -> None:
    """By no other error."""
    for parse in (
        lambda: limits.parse_size("--memory", text),
        lambda: limits.parse_swap(text, 1 << 30),
        lambda: limits.parse_cpus(text),
        lambda: limits.parse_ulimit(f"nofile={text}"),
        lambda: limits.parse_ulimit(text),
    ):
        try:
            parse()
        except Invalid:
            pass


def test_swap_is_beyond_memory() -> None:
    """As much again by default; none if both are the same."""
    spec = ContainerSpec(memory=64 << 20)
    swap = {0: str(64 << 20), 64 << 20: "0", 96 << 20: str(32 << 20), -1: "max"}
    for given_swap, expected in swap.items():
        wanted = cgroup.wanted(spec._replace(memory_swap=given_swap))
        assert wanted["memory"]["memory.swap.max"] == expected


def test_processors_in_time() -> None:
    """The least is what the kernel keeps account of."""
    for text, quota in (("0.5", "50000"), ("1.5", "150000"), (2, "200000"), (0.01, "1000")):
        wanted = cgroup.wanted(ContainerSpec(nano_cpus=limits.parse_cpus(text)))
        assert wanted["cpu"] == {"cpu.max": f"{quota} 100000"}


def test_ulimits_are_kept_by_the_store() -> None:
    """As they were."""
    found = (limits.parse_ulimit("nofile=1:2"), limits.parse_ulimit("core=-1"))
    spec = ContainerSpec(("true",), ulimits=found)
    assert ContainerSpec.from_json(spec.to_json()).ulimits == found
    assert found == (("nofile", 1, 2), ("core", -1, -1))
