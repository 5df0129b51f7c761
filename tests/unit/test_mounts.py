"""`-v`, `--mount` and `--tmpfs` as they are typed: what each word means, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netyard.errors import Invalid
from netyard.values.mounts import (
    MountRequest,
    check_targets,
    parse_mount,
    parse_tmpfs,
    parse_volume,
)
from netyard.values.spec import ContainerSpec

TMPFS = "noexec,nosuid,nodev"


@pytest.mark.parametrize(
    ("text", "source", "target", "read_only"),
    [
        ("/a:/b", "/a", "/b", False),
        ("/a:/b:ro", "/a", "/b", True),
        ("/a:/b:rw", "/a", "/b", False),
        ("/a/../c/:/b//d/", "/c", "/b/d", False),
        (".:/b", "/home/me", "/b", False),
        ("./a:/b:ro", "/home/me/a", "/b", True),
        ("../a:/b", "/home/a", "/b", False),
        ("/a b:/c,d:rprivate,ro", "/a b", "/c,d", True),
    ],
)
def test_volumes(text: str, source: str, target: str, read_only: bool) -> None:
    """Two paths and how they may be used; a path that begins with a dot is the caller's."""
    found = parse_volume(text, "/home/me")
    assert found == MountRequest("volume", "bind", source, target, read_only)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("/a", "HOST:CONTAINER"),
        ("", "HOST:CONTAINER"),
        ("/a:/b:ro:rw", "HOST:CONTAINER"),
        ("web:/b", "names a volume 'web'"),
        ("a/b:/c", "names a volume 'a/b'"),
        (":/c", "names a volume ''"),
        ("/a:b", "'b' must be an absolute path"),
        ("/a:", "'' must be an absolute path"),
        ("/a:/", "the root of the container"),
        ("/a:/x/..", "the root of the container"),
        ("/a:/proc/sys", "'/proc/sys' is in /proc"),
        ("/a://proc", "is in /proc"),
        ("/a:/b:z", "the option 'z'"),
        ("/a:/b:idmap=uids=0-1-10", "the option 'idmap=uids=0-1-10'"),
        ("/a:/b:", "the option ''"),
    ],
)
def test_volumes_that_are_refused(text: str, complaint: str) -> None:
    """One sentence that names the value."""
    with pytest.raises(Invalid, match=r"^--volume: ") as raised:
        parse_volume(text, "/home/me")
    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "type=bind,source=/a,target=/b",
            MountRequest("mount", "bind", "/a", "/b"),
        ),
        (
            "Type=bind,src=/a,dst=/b,readonly",
            MountRequest("mount", "bind", "/a", "/b", read_only=True),
        ),
        (
            "type=bind,src=/a,destination=/b,ro=false,bind-propagation=rprivate",
            MountRequest("mount", "bind", "/a", "/b"),
        ),
        (
            "type=tmpfs,target=/b,tmpfs-size=64MB,tmpfs-mode=700,ro=1",
            MountRequest("mount", "tmpfs", "", "/b", True, f"{TMPFS},size=64m,mode=700"),
        ),
    ],
)
def test_mounts(text: str, found: MountRequest) -> None:
    """Docker's keys, in any case, and its other words for them."""
    assert parse_mount(text, text.split(",")) == found


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("source=/a,target=/b", "of type 'volume'"),
        ("type=npipe,source=/a,target=/b", "of type 'npipe'"),
        ("type=bind,target=/b", "needs source="),
        ("type=bind,source=a,target=/b", "needs source="),
        ("type=bind,source=/a", "must be an absolute path"),
        ("type=bind,source=/a,src=/b,target=/c", "source twice"),
        ("type=bind,source=/a,target=/b,colour=red", "'colour=red'"),
        ("type=bind,source=/a,target=/b,readonly=perhaps", "readonly=perhaps"),
        ("type=bind,source=/a,target=/b,bind-propagation=shared", "bind-propagation=shared"),
        ("type=bind,source=/a,target=/b,tmpfs-size=1m", "not of type=bind"),
        ("type=tmpfs,source=/a,target=/b", "has a source"),
        ("type=tmpfs,target=/b,tmpfs-size=much", "tmpfs-size=much"),
        ("type=tmpfs,target=/b,tmpfs-mode=9", "mode=9"),
    ],
)
def test_mounts_that_are_refused(text: str, complaint: str) -> None:
    """One sentence that names the value."""
    with pytest.raises(Invalid, match=r"^--mount: ") as raised:
        parse_mount(text, text.split(","))
    assert complaint in str(raised.value)


def test_tmpfs() -> None:
    """Docker's default options, and those that are typed."""
    assert parse_tmpfs("/a") == MountRequest("tmpfs", "tmpfs", "", "/a", False, TMPFS)
    assert parse_tmpfs("/a:exec,size=1g").options == "nosuid,nodev,size=1g"
    assert parse_tmpfs("/a:ro,mode=0700,size=10%").read_only
    for wrong in ("a", "/a:dev", "/a:size=0", "/a:mode=x", "/a:size=1m:ro", "/a:context=x"):
        with pytest.raises(Invalid, match=r"^--tmpfs: "):
            parse_tmpfs(wrong)


def test_one_place_is_mounted_over_once() -> None:
    """Docker's "Duplicate mount point"."""
    with pytest.raises(Invalid, match="'/b' is a mount point twice"):
        check_targets([parse_volume("/a:/b", "/"), parse_tmpfs("/b/")])


def test_the_store_keeps_them() -> None:
    """What a container is asked to be is the same after the store has kept it."""
    spec = ContainerSpec(mounts=(parse_volume("/a:/b:ro", "/"), parse_tmpfs("/c:size=1m")))
    assert ContainerSpec.from_json(spec.to_json()) == spec


@settings(max_examples=500)
@given(st.text(alphabet="/.:,=abprocxmount-sizetyfdl019%\ud800 ", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No other error, and no target that is none."""
    for parse in (
        lambda: parse_volume(text, "/home"),
        lambda: parse_tmpfs(text),
        lambda: parse_mount(text, text.split(",")),
    ):
        try:
            found = parse()
        except Invalid:
            continue
        assert found.target.startswith("/") and found.target != "/"
        assert not f"{found.target}/".startswith("/proc/")
