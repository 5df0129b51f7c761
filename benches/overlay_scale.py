"""What a large overlay costs one of its hosts: simulated hosts write to a real etcd, one agent follows.

    python benches/overlay_scale.py [HOSTS [ENDPOINTS]]      by default 1000 hosts of 100 endpoints

Everything is on one network, the worst case: an agent follows only the networks it has containers on.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import cluster
from cluster import ETCD_URL, Cluster, run
from lab import Machine, wait_for

# On the etcd's machine: what the agents of the other hosts would have written.
_WRITER = """
import json, sys, time
from ipaddress import ip_address
from netyard.cluster import entries
from netyard.cluster.etcd import Delete, Etcd, Put
from netyard.values.membership import Access
from netyard.values.ids import overlay_mac
from netyard.values.parse import format_mac
etcd = Etcd(Access(etcd=("http://127.0.0.1:2379",)))
network, base = sys.argv[1], int(ip_address(sys.argv[2]))
def host(number):
    return entries.HostEntry(id=f"{number:064x}", name=f"host{number}", address=str(ip_address(0x0A630000 + number)))
def endpoint(number, per_host, changed=0):
    its = host(number // per_host)
    address = ip_address(base + 1000 + number)
    return entries.EndpointEntry(
        id=f"{number:064x}", network=network, host=its.id, host_name=its.name, host_address=its.address,
        via=its.address, container=f"{number:064x}", names=[f"web{number}", f"{number:012x}"] + ["moved"] * changed,
        mac=format_mac(overlay_mac(network, str(address))), addresses=[str(address)], is_up=True)
def puts(each):
    address = ip_address(each.addresses[0])
    return [Put(entries.endpoint_key(network, each.id), each.to_json()), Put(entries.address_key(network, address), each.id)]
for line in sys.stdin:
    what, *numbers = line.split()
    began = time.monotonic()
    if what == "fill":
        hosts, per_host = map(int, numbers)
        for start in range(0, hosts, 100):
            etcd.change([], [Put(entries.host_key(host(n).id), host(n).to_json()) for n in range(start, min(hosts, start + 100))])
        total = hosts * per_host
        for start in range(0, total, 50):
            etcd.change([], [p for n in range(start, min(total, start + 50)) for p in puts(endpoint(n, per_host))])
    elif what == "churn":
        count, per_host = map(int, numbers)
        for n in range(count):
            etcd.change([], puts(endpoint(n, per_host, changed=1)))
    print(time.monotonic() - began, flush=True)
"""


def agent_pid(machine: Machine) -> int:
    """The agent's process, as the machine counts."""
    code = (
        "from netyard.ipc import agent\nfrom netyard.state.layout import Layout\n"
        "print(agent.request(Layout.of(None), {'op': 'ping'})['pid'])"
    )
    return int(machine.python(code))


def cost(machine: Machine) -> dict[str, float]:
    """Memory and time of the agent so far, and what its host has received."""
    pid = agent_pid(machine)
    rollup = machine.out("cat", f"/proc/{pid}/smaps_rollup").splitlines()
    pss = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    times = machine.out("cat", f"/proc/{pid}/stat").rpartition(")")[2].split()
    shown = json.loads(machine.out("ip", "-s", "-j", "link", "show", "eth0"))[0]
    slab = next(line for line in Path("/proc/meminfo").read_text().splitlines() if "Slab" in line)
    return {
        "agent_mib": pss / 1024,
        "agent_cpu_s": (int(times[11]) + int(times[12])) / 100,
        "received_mib": shown["stats64"]["rx"]["bytes"] / 2**20,
        "slab_mib": int(slab.split()[1]) / 1024,
    }


def difference(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What has been added."""
    return {key: round(after[key] - before[key], 2) for key in after}


def known(machine: Machine, device: str) -> int:
    """How many remote containers the kernel knows."""
    code = f"from netyard import _core; print(len(_core.list_remotes({device!r})[0]))"
    return int(machine.python(code))


def measure(found: Cluster, hosts: int, per_host: int) -> dict[str, Any]:
    """Fill, follow, change, follow anew."""
    alpha = found.hosts[0]
    found.join()
    alpha.ny("network", "create", "-d", "overlay", "--subnet", "10.64.0.0/13", "net")
    client = run(alpha, "client", "net")
    network = json.loads(alpha.ny("network", "inspect", "net"))[0]["Id"]
    device = f"vx-{network[:12]}"
    results: dict[str, Any] = {"hosts": hosts, "endpoints": hosts * per_host, "etcd": ETCD_URL}
    writer = found.etcd.popen(
        sys.executable, "-c", _WRITER, network, "10.64.0.0", stdin=-1, stdout=-1
    )

    def write(*words: object) -> float:
        writer.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        writer.stdin.flush()
        return float(writer.stdout.readline())

    before = cost(alpha)
    began = time.monotonic()
    results["written_s"] = write("fill", hosts, per_host)
    wait_for(lambda: known(alpha, device) == hosts * per_host, seconds=900)
    results["followed_s"] = time.monotonic() - began
    results["following"] = difference(before, cost(alpha))
    status = json.loads(found.etcdctl("endpoint", "status", "-w", "json").stdout)[0]["Status"]
    results["etcd_db_mib"] = status["dbSize"] / 2**20
    before = cost(alpha)
    changes = 500
    results["churn_s"] = write("churn", changes, per_host)
    wait_for(lambda: client.dig("moved").count("\n") == changes - 1, seconds=120)
    results["500_changes"] = difference(before, cost(alpha))
    began = time.monotonic()
    alpha.ny("run", "-d", "--name", "late", "--network", "net", "sleep", "600")
    results["run_at_this_size_s"] = time.monotonic() - began
    alpha.kill_agent()
    began = time.monotonic()
    alpha.ny("ps")
    wait_for(lambda: client.dig(f"web{hosts * per_host - 1}"), seconds=900)
    results["new_agent_has_all_s"] = time.monotonic() - began
    results["new_agent"] = cost(alpha)
    return results


def main() -> None:
    """Measure, and print what was measured."""
    numbers = [int(word) for word in sys.argv[1:]]
    hosts, per_host = (*numbers, *(1000, 100)[len(numbers) :])
    with cluster.opened(1) as found:
        print(json.dumps(measure(found, hosts, per_host), indent=4))


if __name__ == "__main__":
    main()
