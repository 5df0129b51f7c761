"""What ``--userns auto`` asks for, what ``/etc/subuid`` gives, and maps that are made of both."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netyard.errors import Invalid
from netyard.values.spec import ContainerSpec
from netyard.values.user_ids import (
    DEFAULT_SIZE,
    Extent,
    IdMap,
    Span,
    Wish,
    filled,
    free_spans,
    outside_spans,
    parse_auto,
    parse_ranges,
)


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("auto", Wish()),
        ("auto:size=1", Wish(1)),
        ("auto:size=4294967295", Wish(2**32 - 1)),
        ("auto:uidmapping=5:1000:1", Wish(DEFAULT_SIZE, (Extent(5, 1000, 1),))),
        (
            "auto:gidmapping=9:1:1,size=10,gidmapping=0:0:1",
            Wish(10, (), (Extent(0, 0, 1), Extent(9, 1, 1))),
        ),
    ],
)
def test_wishes(text: str, wish: Wish) -> None:
    """Podman's words."""
    assert parse_auto(text) == wish


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("auto:", "the option ''"),
        ("auto:size", "the option 'size'"),
        ("auto:keep", "one of size, uidmapping, gidmapping"),
        ("auto:size=", "size=, which must be a number from 1 to 4294967295"),
        ("auto:size=0", "size=0"),
        ("auto:size=-1", "size=-1"),
        ("auto:size=4294967296", "size=4294967296"),
        ("auto:size=" + "9" * 5000, "must be a number"),
        ("auto:size=٣", "must be a number"),
        ("auto:uidmapping=1:2", "must be CONTAINER:HOST:COUNT"),
        ("auto:uidmapping=@1000:1:2", "must be CONTAINER:HOST:COUNT"),
        ("auto:gidmapping=0:0:0", "gidmapping=0:0:0: ids are numbers"),
        ("auto:gidmapping=0:4294967290:9", "ids are numbers from 0 to 4294967294"),
        ("auto:size=9,uidmapping=9:1:1", "the container has only 9 ids"),
        (
            "auto:uidmapping=1:5:3,uidmapping=3:50:1",
            "has id 3 of the container in uidmapping twice",
        ),
        ("auto:uidmapping=1:5:3,uidmapping=9:7:1", "has id 7 of the host in uidmapping twice"),
        ("auto:" + ",".join(f"uidmapping={n}:{n}:1" for n in range(200)), "200 times"),
    ],
)
def test_wishes_that_are_refused(text: str, complaint: str) -> None:
    """One sentence that names the value."""
    with pytest.raises(Invalid, match=r"^--userns: ") as caught:
        parse_auto(text)
    assert complaint in str(caught.value)
    assert caught.value.field == "--userns"


@settings(max_examples=500)
@given(st.text(max_size=40))
def test_any_words(text: str) -> None:
    """Whatever is typed is a wish or a sentence."""
    try:
        assert parse_auto("auto:" + text).size > 0
    except Invalid as error:
        assert "--userns" in str(error)


@settings(max_examples=500)
@given(st.text(alphabet="containers:019 \n#x", max_size=60))
def test_any_file(text: str) -> None:
    """Whatever a file says is ranges, or a sentence with its line."""
    try:
        assert all(0 < each.first < each.end for each in parse_ranges(text, "FILE", ["containers"]))
    except Invalid as error:
        assert str(error).startswith("FILE, line ")


def test_ranges() -> None:
    """Those of the owner, by name or number; lines of others are theirs."""
    text = "# a comment\nother:x:y\n containers : 10 : 5\n77:100:50\ncontainers:300:1\n"
    found = parse_ranges(text, "FILE", ["containers", "77"])
    assert found == [Span(10, 15), Span(100, 150), Span(300, 301)]
    assert parse_ranges("", "FILE", ["containers"]) == []


SPANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda each: Span(each[0], sum(each))),
    max_size=6,
)


@given(SPANS, SPANS)
def test_what_is_free(given_spans: list[Span], taken: list[Span]) -> None:
    """Each free id was given and is not taken, and none is missing."""
    numbers = {n for span in given_spans for n in range(*span)}
    left = numbers - {n for span in taken for n in range(*span)}
    found = free_spans(given_spans, taken)
    assert {n for span in found for n in range(*span)} == left
    assert all(span.first < span.end for span in found)


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(0, 49), st.integers(1, 5)), max_size=4),
)
def test_maps_are_filled(size: int, wanted: list[tuple[int, int]]) -> None:
    """Each id of the container is one of the host, forced ones as asked, no two the same."""
    forced, at = [], 0
    for inside, length in sorted(wanted):
        if inside >= at and inside + length <= size:
            forced.append(Extent(inside, 5000 + inside, length))
            at = inside + length
    extents = filled(size, forced, 100)
    ids = IdMap(extents, extents)
    outside = [ids.uid(number) for number in range(size)]
    assert len(set(outside)) == size and None not in outside
    assert ids.uid(size) is None
    for each in forced:
        assert ids.gid(each.inside) == each.outside
    free = size - sum(each.length for each in forced)
    rest = [number for number in outside if number is not None and number < 5000]
    assert rest == list(range(100, 100 + free))
    assert sum(span.end - span.first for span in outside_spans(extents)) == size
    assert IdMap.from_json(ids.to_json()) == ids


def test_what_the_kernel_and_the_shim_are_told() -> None:
    """Lines as in ``/proc/PID/uid_map``; root, and the group of terminals."""
    users = (Extent(0, 7, 1), Extent(1, 1000, 9))
    ids = IdMap(users, (Extent(0, 100, 10),))
    assert ids.lines == ("0 7 1\n1 1000 9\n", "0 100 10\n")
    assert (ids.root, ids.terminals) == ((7, 100), 105)
    # A container with fewer groups has none for terminals.
    assert IdMap(users, (Extent(0, 100, 2),)).terminals == 100
    assert users[1].shown == "1:1000:9"


def test_who_asks() -> None:
    """Of a spec: `auto` with options or without, and nothing else."""
    assert ContainerSpec(userns="auto:size=5").has_own_ids
    assert ContainerSpec(userns="auto").has_own_ids
    assert not ContainerSpec(userns="host").has_own_ids
    assert not ContainerSpec().has_own_ids
