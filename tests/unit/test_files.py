"""hosts and resolv.conf, as text."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from netyard.resolver import files


def _made(host: str, **settings: object) -> str:
    values: dict = {
        "has_name_service": False,
        "has_ipv6": False,
        "is_host_mode": False,
        "dns": (),
        "search": (),
        "options": (),
        **settings,
    }
    return files.resolv_conf(files.ResolvConf.parse(host), **values)


def test_default_network_filters_the_hosts_servers() -> None:
    """RS1, RS2, RS4."""
    host = (
        "nameserver 127.0.0.53\nnameserver fd00::1\nnameserver 192.0.2.1 # x\nsearch a b\n"
        "options edns0\nsortlist 1.2.3.4\n"
    )
    made = _made(host)
    assert "nameserver 192.0.2.1\n" in made
    assert "127.0.0.53" not in made
    assert "fd00::1" not in made
    assert "search a b\noptions edns0\nsortlist 1.2.3.4" in made
    assert "fd00::1" in _made(host, has_ipv6=True)
    assert "8.8.8.8" in _made("nameserver ::1\n")


def test_name_service_gives_exactly_one_server() -> None:
    """RS5, RS8, DN12."""
    made = _made("nameserver fd00::1\noptions rotate\n", has_name_service=True, has_ipv6=True)
    assert made.count("nameserver") == 1
    assert "options rotate ndots:0" in made
    assert "ndots:0" not in _made("", has_name_service=True, options=["ndots:3"])
    assert "\nsearch" not in _made("search x\n", has_name_service=True, search=["."])


@given(
    st.text(),
    st.lists(st.text(alphabet=st.characters(exclude_characters="\n"), min_size=1)),
)
def test_lines_come_and_go_without_a_trace(text: str, lines: list[str]) -> None:
    """EH3: what the user wrote stays as it was."""
    kept = files.without_lines(text, lines)
    assert files.without_lines(files.with_lines(kept, lines), lines).rstrip("\n") == kept.rstrip(
        "\n"
    )


def test_written_in_place_and_never_through_a_link(tmp_path: Path) -> None:
    """SH28."""
    target = tmp_path / "hosts"
    target.write_text("a much longer text than the next one\n")
    inode = target.stat().st_ino
    files.write_in_place(target, "short\n")
    assert target.read_text() == "short\n"
    assert target.stat().st_ino == inode
    secret = tmp_path / "secret"
    secret.write_text("untouched")
    (tmp_path / "link").symlink_to(secret)
    try:
        files.write_in_place(tmp_path / "link", "x")
    except OSError:
        pass
    assert secret.read_text() == "untouched"


def test_upstreams() -> None:
    """DN24: zones are kept, what cannot be read is left out."""
    found = files.upstreams_of(["192.0.2.1", "fe80::1%eth0", "nonsense", "127.0.0.11"])
    assert [(str(address), zone) for address, zone, _ in found] == [
        ("192.0.2.1", ""),
        ("fe80::1", "eth0"),
    ]
