"""The clock jumps, by days and years: leases, names and addresses go by the time that has passed.

These run by themselves, when the machine's other tests have ended: it has one clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

import cluster
from cluster import ETCD, Cluster, run
from lab import Machine, wait_for

_DAY_SECONDS = 86_400


@pytest.fixture
def pair() -> Iterator[Cluster]:
    """Two hosts, with a clock that may be set; it goes on as before afterwards."""
    if "NETYARD_EMULATED" not in os.environ:
        pytest.fail("the clock is the machine's own: make test-vm")
    with cluster.opened(2, has_etcd=False) as found:
        was, started = time.time(), time.monotonic()
        yield found
        time.clock_settime(time.CLOCK_REALTIME, was + time.monotonic() - started)


def _names(machine: Machine) -> list[str]:
    """The hosts that are there, as one of them sees it."""
    return machine.ny("host", "ls", "--format", "{{.Name}}").split()


def _jump(days: float) -> None:
    time.clock_settime(time.CLOCK_REALTIME, time.time() + days * _DAY_SECONDS)


def test_leases_outlive_jumps(pair: Cluster) -> None:
    """A host is neither declared dead nor kept for ever; what follows goes on following."""
    pair.start_etcd()
    pair.join(flags=("--lease", "5"))
    alpha, beta = pair.hosts
    alpha.ny("network", "create", "-d", "overlay", "net")
    web, client = run(alpha, "web", "net"), run(beta, "client", "net")
    wait_for(lambda: client.ping("web"))
    for number, days in enumerate((3650, -4000)):
        _jump(days)
        for _ in range(2):
            time.sleep(4)
            assert len(_names(beta)) == 2, f"{days} days: declared dead"
        assert client.ping("web") and web.ping("client"), f"{days} days"
        late = run(alpha, f"late{number}", "net")
        wait_for(lambda number=number: client.ping(f"late{number}"))  # type: ignore[misc]
        assert late.ping("client")
    # Back, etcd 3.4 itself ends no lease until its own clock has caught up; 3.5 does.
    pair.cut(alpha)
    _jump(400)
    wait_for(lambda: _names(beta) == ["beta"], seconds=20, what="never dead")
    wait_for(lambda: client.dig("web") == "", what="its names stay")
    pair.mend(alpha)
    wait_for(lambda: client.ping("web"), seconds=20, what="back")


def test_certificates_of_another_day(pair: Cluster) -> None:
    """One sentence that names the clock; what runs goes on, and the cluster is back with the day."""
    files = pair.start_etcd_with_tls()
    flags = f"--ca {files}/ca.pem --cert {files}/client.pem --key {files}/client.key".split()
    url = f"https://{ETCD}:2379"
    alpha, beta = pair.hosts
    alpha.ny("host", "join", "--etcd", url, "--advertise", "10.99.1.2", *flags)
    alpha.ny("network", "create", "-d", "overlay", "net")
    web, other = run(alpha, "web", "net"), run(alpha, "other", "net")
    join = ("host", "join", "--etcd", url, "--advertise", "10.99.2.2", *flags)
    before = beta.snapshot()
    for days, what in ((400, "has expired"), (-800, "is not yet valid")):
        _jump(days)
        said = beta.refused(*join)
        assert f"etcd at {url} cannot be used: its certificate is refused: " in said
        assert what in said and f"by this host's clock it is {time.gmtime().tm_year}-" in said
        assert web.ping("other") and other.ping("web")
    assert beta.snapshot() == before
    _jump(400)
    beta.ny(*join)
    client = run(beta, "client", "net")
    wait_for(lambda: client.ping("web"))
