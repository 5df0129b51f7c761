"""What users see of an endpoint: see `netyard.Endpoint`."""

from __future__ import annotations

import pytest

from netyard.api.endpoint import endpoint_of
from netyard.state.records import EndpointRecord, NetworkRecord


@pytest.mark.parametrize(
    ("driver", "shown"),
    [("bridge", "ny1234"), ("overlay", "ny1234"), ("macvlan", ""), ("ipvlan", "")],
)
def test_the_other_end(driver: str, shown: str) -> None:
    """A child of a parent interface has none on the host."""
    record = EndpointRecord(
        *("e", "n", "c"), 0, "eth0", "ny1234", mac="02:00:00:00:00:01", ip4="10.0.0.2", ip6=""
    )
    found = endpoint_of("web", record, NetworkRecord("n", "net", driver, ""))
    assert (found.ifname, found.host_ifname) == ("eth0", shown)
