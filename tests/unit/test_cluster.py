"""What hosts do to the state they share, on an etcd of a dictionary."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netyard.cluster import decode, entries, registry
from netyard.cluster.entries import (
    PREFIX,
    EndpointEntry,
    HostEntry,
    Unreadable,
    address_key,
    address_of,
    network_from_json,
    network_to_json,
    tunnel_address,
)
from netyard.cluster.etcd import Absent, Delete, Entry, Present, Put, Snapshot, _batch, _messages
from netyard.cluster.registry import Registry, free_vni
from netyard.errors import (
    AddressInUse,
    Conflict,
    Exhausted,
    Invalid,
    NameInUse,
    NotFound,
    Several,
    SubnetOverlap,
)
from netyard.options.overlay import normalise
from netyard.state.cluster_settings import membership_of
from netyard.state.records import NetworkRecord
from netyard.values.membership import parse
from netyard.values.pool import Pool


class FakeEtcd:
    """As much of `Etcd` as the registry uses."""

    def __init__(self) -> None:
        self.kept: dict[str, Entry] = {}
        self.revision = 1

    def _found(self, first: str, end: str) -> list[Entry]:
        return [self.kept[key] for key in sorted(self.kept) if first <= key < end]

    def read(self, *prefixes: str) -> Snapshot:
        found = [entry for each in prefixes for entry in self._found(each, each + "\x7f")]
        return Snapshot(self.revision, found)

    def pages(self, prefix: str) -> Iterator[Snapshot]:
        yield self.read(prefix)

    def get(self, *keys: str) -> Snapshot:
        return Snapshot(self.revision, [self.kept[key] for key in keys if key in self.kept])

    def read_from(self, first: str, end: str, *, limit: int) -> Snapshot:
        return Snapshot(self.revision, self._found(first, end)[:limit])

    def keys_of(self, lease: int) -> list[str]:
        return [key for key, entry in self.kept.items() if entry.lease == lease]

    def change(self, conditions: Sequence[Any], changes: Sequence[Any]) -> bool:
        if not all(map(self._holds, conditions)):
            return False
        self.revision += 1
        for each in changes:
            match each:
                case Put(key, value, lease):
                    self.kept[key] = Entry(key, value, self.revision, lease)
                case Delete(key, is_prefix):
                    gone = [k for k in self.kept if k == key or (is_prefix and k.startswith(key))]
                    for key in gone:
                        del self.kept[key]
        return True

    def _holds(self, condition: Any) -> bool:
        match condition:
            case Absent(key, is_prefix):
                return not any(k == key or (is_prefix and k.startswith(key)) for k in self.kept)
            case Present(key, revision):
                return key in self.kept and revision in (0, self.kept[key].revision)
        raise AssertionError(condition)

    def end_lease(self, lease: int) -> None:
        """As when a host has been silent for too long."""
        self.kept = {key: entry for key, entry in self.kept.items() if entry.lease != lease}


NETWORK = NetworkRecord(
    id="a" * 64,
    name="net",
    driver="overlay",
    created="2026",
    vni=4096,
    state="planned",
    bridge="br-aaaaaaaaaaaa",
    pools=(Pool(ip_network("10.7.0.0/29"), gateway=ip_address("10.7.0.1")),),
)


def member(etcd: FakeEtcd, name: str, lease: int) -> Registry:
    """A host."""
    host = HostEntry(id=name.encode().hex().ljust(64, "0"), name=name, address="10.99.1.2")
    return Registry(etcd, host, lease)  # type: ignore[arg-type]


def endpoint(of: Registry, name: str) -> EndpointEntry:
    """A container's endpoint that has no address yet."""
    return EndpointEntry(
        id=name,
        network=NETWORK.id,
        host=of.host.id,
        host_name=of.host.name,
        host_address=of.host.address,
        via=of.host.address,
        container=name,
        names=[name],
        mac="",
        addresses=(),
        is_up=False,
    )


@pytest.fixture
def etcd() -> FakeEtcd:
    """One with the network."""
    made = FakeEtcd()
    member(made, "alpha", 1).add_network(NETWORK)
    return made


def test_addresses_go_round(etcd: FakeEtcd) -> None:
    """IP8: the next after the last one given, then from the start; IP7, IP12."""
    alpha, beta = member(etcd, "alpha", 1), member(etcd, "beta", 2)
    given = []
    for number in range(5):
        host = (alpha, beta)[number % 2]
        entry = endpoint(host, f"c{number}")
        given += host.claim(NETWORK, entry, {4: None})
    assert [str(each) for each in given] == [f"10.7.0.{number}" for number in range(2, 7)]
    with pytest.raises(Exhausted, match=r"network 'net' has no free address left in 10.7.0.0/29"):
        alpha.claim(NETWORK, endpoint(alpha, "late"), {4: None})
    alpha.release([endpoint(alpha, "c2")._replace(addresses=["10.7.0.4"])])
    beta.release([endpoint(beta, "c1")._replace(addresses=["10.7.0.3"])])
    assert str(alpha.claim(NETWORK, endpoint(alpha, "new"), {4: None})[0]) == "10.7.0.3"


def test_a_wanted_address(etcd: FakeEtcd) -> None:
    """IP12: taken is a conflict that says by whom and where."""
    alpha, beta = member(etcd, "alpha", 1), member(etcd, "beta", 2)
    wanted = {4: ip_address("10.7.0.5")}
    assert alpha.claim(NETWORK, endpoint(alpha, "web"), wanted) == [ip_address("10.7.0.5")]
    with pytest.raises(
        AddressInUse, match=r"10.7.0.5 of .*'net' belongs to container 'web' on host 'alpha'"
    ):
        beta.claim(NETWORK, endpoint(beta, "other"), wanted)
    with pytest.raises(Conflict, match="used by containers web on host alpha"):
        beta.remove_network(NETWORK)
    alpha.release([endpoint(alpha, "web")._replace(addresses=["10.7.0.5"])])
    beta.remove_network(NETWORK)
    with pytest.raises(NotFound, match="there is no network 'net' any more"):
        alpha.claim(NETWORK, endpoint(alpha, "web"), wanted)


def test_what_a_silent_host_has_left(etcd: FakeEtcd) -> None:
    """Its addresses are free with its lease; back, it has those that still are."""
    alpha, beta = member(etcd, "alpha", 1), member(etcd, "beta", 2)
    one, two = (
        endpoint(alpha, name)._replace(addresses=[f"10.7.0.{n}"])
        for name, n in (("a", 2), ("b", 3))
    )
    for each in (one, two):
        alpha.claim(NETWORK, each, {4: None})
    assert [each.id for each in alpha.own_endpoints()] == ["a", "b"]
    etcd.end_lease(1)
    taken = beta.claim(NETWORK, endpoint(beta, "x"), {4: ip_address("10.7.0.2")})
    assert taken
    back = member(etcd, "alpha", 3)
    assert back.own_endpoints() == []
    assert not back.reclaim(one)
    assert back.reclaim(two) and back.reclaim(two)
    with pytest.raises(Conflict, match=r"has lost 10.7.0.2 to another host"):
        back.publish(one)
    back.release([one])
    assert etcd.kept[address_key(NETWORK.id, ip_address("10.7.0.2"))].value == "x"


def test_networks_are_apart(etcd: FakeEtcd) -> None:
    """Name, VNI and subnets are one network's."""
    alpha = member(etcd, "alpha", 1)
    other = NETWORK._replace(
        id="b" * 64, name="other", vni=4097, pools=(Pool(ip_network("10.8.0.0/24")),)
    )
    with pytest.raises(NameInUse):
        alpha.add_network(other._replace(name="net"))
    with pytest.raises(Conflict, match="identifier 4096 is network 'net''s"):
        alpha.add_network(other._replace(vni=4096))
    with pytest.raises(SubnetOverlap, match=r"10.7.0.0/16 overlaps 10.7.0.0/29 of network 'net'"):
        alpha.add_network(other._replace(pools=(Pool(ip_network("10.7.0.0/16")),)))
    alpha.add_network(other)
    alpha.add_network(other)
    assert {network.name for network in alpha.networks().records} == {"net", "other"}


def test_a_host_name_is_one_hosts(etcd: FakeEtcd) -> None:
    """And its own again when it comes back."""
    member(etcd, "alpha", 1).register_host()
    member(etcd, "alpha", 5).register_host()
    stranger = member(etcd, "alpha", 2)
    stranger.host = stranger.host._replace(id="f" * 64)
    with pytest.raises(NameInUse, match="another host of this cluster is called 'alpha'"):
        stranger.register_host()


def test_a_key_that_could_not_be_announced(etcd: FakeEtcd) -> None:
    """It counts as not announced, so that the next attempt does it."""
    alpha = member(etcd, "alpha", 1)
    alpha.register_host()
    alpha.announce_key("a1" * 32)
    name_key = entries.host_name_key("alpha")
    etcd.change([], [Put(name_key, "f" * 64)])
    with pytest.raises(NameInUse):
        alpha.announce_key("b2" * 32)
    assert alpha.host.public_key == "a1" * 32
    etcd.change([], [Delete(name_key)])
    alpha.announce_key("b2" * 32)
    assert alpha.hosts()[alpha.host.id].public_key == alpha.host.public_key == "b2" * 32


def test_vnis_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """OV2."""
    assert free_vni([NETWORK]) == 4097
    monkeypatch.setattr(registry, "VNI_MAX", 4096)
    with pytest.raises(
        Exhausted, match="all VXLAN network identifiers from 4096 to 4096 are taken"
    ):
        free_vni([NETWORK])


def test_entries_are_what_they_were() -> None:
    """JSON there and back; keys of addresses sort as the addresses do."""
    assert network_from_json(network_to_json(NETWORK)) == NETWORK
    keys = [address_key("n", ip_address(text)) for text in ("10.0.0.2", "10.0.0.10", "fd00::1")]
    assert sorted(keys) == keys
    assert [str(address_of(key)) for key in keys] == ["10.0.0.2", "10.0.0.10", "fd00::1"]
    assert str(tunnel_address("0123456789abcdef" * 4)) == "fe80::123:4567:89ab:cdef"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
_HOST = HostEntry(id="a" * 64, name="alpha", address="10.99.1.2", public_key="b" * 64)
_UP = EndpointEntry(
    id="c" * 64,
    network=NETWORK.id,
    host=_HOST.id,
    host_name="alpha",
    host_address="10.99.1.2",
    via="fe80::1",
    container="d" * 64,
    names=["web", "www"],
    mac="02:42:0a:07:00:02",
    addresses=["10.7.0.2", "fd00::2"],
    is_up=True,
)
_READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "host": (_HOST.to_json(), HostEntry.from_json),
    "endpoint": (_UP.to_json(), EndpointEntry.from_json),
    "network": (network_to_json(NETWORK), network_from_json),
}


@given(st.sampled_from(sorted(_READERS)), st.text() | _JSON.map(json.dumps))
def test_anything_in_etcd(kind: str, text: str) -> None:
    """Whatever is there instead of an entry is unreadable, and nothing worse."""
    with pytest.raises(Unreadable):
        _READERS[kind][1](text)


@given(st.sampled_from(sorted(_READERS)), st.data())
def test_entries_with_something_else_in_them(kind: str, data: st.DataObject) -> None:
    """One field is something else: it is unreadable, or means what it says there and back."""
    text, read = _READERS[kind]
    fields = json.loads(text)
    key = data.draw(st.sampled_from(sorted(fields)) | st.text())
    fields[key] = data.draw(_JSON)
    try:
        found = read(json.dumps(fields))
    except Unreadable:
        return
    again = network_to_json(found) if isinstance(found, NetworkRecord) else found.to_json()  # type: ignore[attr-defined]
    assert read(again) == found


@pytest.mark.parametrize("kind", sorted(_READERS))
def test_fields_of_a_newer_version(kind: str) -> None:
    """They are passed over."""
    text, read = _READERS[kind]
    assert read(json.dumps({**json.loads(text), "colour": "red"})) == read(text)


def test_endpoints_that_are_not_up() -> None:
    """They have addresses, and no place yet."""
    claimed = _UP._replace(via="", mac="", is_up=False)
    assert EndpointEntry.from_json(claimed.to_json()) == claimed


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("network", "id", "../../../etc/cron.d/x"),
        ("network", "name", "a b"),
        ("network", "vni", 0),
        ("network", "options", {"com.docker.network.driver.mtu": "-1"}),
        ("host", "id", "a" * 63),
        ("host", "name", "alpha\nbeta"),
        ("host", "address", "10.99.1.2; reboot"),
        ("host", "public_key", "b" * 62),
        ("endpoint", "mac", ""),
        ("endpoint", "via", "10.99.1"),
        ("endpoint", "names", []),
        ("endpoint", "names", ["a" * 254]),
        ("endpoint", "addresses", "10.7.0.2"),
    ],
)
def test_entries_that_are_no_good(kind: str, key: str, value: object) -> None:
    """SH27: what would end up in paths, in names of interfaces or in the kernel."""
    text, read = _READERS[kind]
    with pytest.raises(Unreadable):
        read(json.dumps({**json.loads(text), key: value}))


def test_unreadable_entries_count_as_absent(caplog: pytest.LogCaptureFixture) -> None:
    """Others are read all the same; an entry under another's key is nobody's."""
    key = f"{PREFIX}hosts/"
    good = Entry(f"{key}{_HOST.id}", _HOST.to_json(), 1, 1)
    entries = [Entry(f"{key}x", "{", 1, 1), Entry(f"{key}y", _HOST.to_json(), 1, 1), good]
    assert list(decode.hosts(entries)) == [_HOST]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_messages_of_a_watch() -> None:
    """They come in any pieces; a revision is never ahead of what has come."""
    assert list(_messages(iter([b'{"a"', b":1}\n\n{", b'"b":2}\n{"c"']))) == [{"a": 1}, {"b": 2}]
    event = {"kv": {"key": "YQ==", "value": "Yg==", "mod_revision": "7", "lease": "9"}}
    gone = {"type": "DELETE", "kv": {"key": "Yw==", "mod_revision": "8"}}
    batch = _batch({"header": {"revision": "50"}, "events": [event, gone]})
    assert (batch.revision, batch.puts, batch.deletes) == (8, [Entry("a", "b", 7, 9)], ["c"])
    assert _batch({"header": {"revision": "50"}}).revision == 50


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment wins; everything that is wrong is said."""
    assert membership_of({}) is None
    given = {"etcd": ["http://a:1"], "advertise": "10.0.0.1", "name": "x"}
    monkeypatch.setenv("NETYARD_ETCD", "http://b:1,https://[fd00::1]:2")
    found = membership_of(given)
    assert found is not None
    assert found.access.etcd == ("http://b:1", "https://[fd00::1]:2")
    assert parse("cluster", found.to_settings()) == found
    with pytest.raises(Several) as several:
        parse(
            "cluster",
            {"etcd": "ftp://x", "advertise": "x", "name": "-", "lease": "soon", "key": "k"},
        )
    assert len(several.value.errors) == 5
    with pytest.raises(Invalid, match="'color' is no setting"):
        parse("cluster", {**given, "color": "red"})


def test_options() -> None:
    """OV2, OV3, OV5."""
    assert normalise({"encrypted": "", "vni": "5000"}) == {
        "encrypted": "true",
        "com.docker.network.driver.overlay.vxlanid_list": "5000",
    }
    for wrong in ({"vni": "1,2"}, {"vni": "16777216"}, {"vxlan-port": "1023"}, {"encrypted": "x"}):
        with pytest.raises(Invalid):
            normalise(wrong)
