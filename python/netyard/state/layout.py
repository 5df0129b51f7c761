"""Where things are and what they are called in the kernel: everything that derives from the root.

Two roots on one machine never meet: paths, sockets, tables and interface names differ. A leaked
object can be traced to its owner by its name.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from netyard.values.ids import digest, short

DEFAULT_ROOT = Path("/var/lib/netyard")
_RUNTIME = Path("/run")


class Layout:
    """Paths and names of one root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of(cls, root: str | os.PathLike[str] | None) -> Layout:
        """The layout of a root, of ``NETYARD_ROOT``, or of the default one.

        A directory has one layout, whichever of its paths it is given by: lock and names in the
        kernel derive from the path that no symbolic link is on.
        """
        chosen = os.path.realpath(root or os.environ.get("NETYARD_ROOT") or DEFAULT_ROOT)
        # The default one has names of its own, wherever a link may lead it.
        return cls(DEFAULT_ROOT if chosen == os.path.realpath(DEFAULT_ROOT) else Path(chosen))

    @cached_property
    def _tag(self) -> str:
        """Empty for the default root, else a short hash of the path."""
        if self.root == DEFAULT_ROOT:
            return ""
        return digest(os.fsencode(self.root)).hex()[:8]

    def _tagged(self, word: str, joint: str) -> str:
        return f"{word}{joint}{self._tag}" if self._tag else word

    @cached_property
    def run(self) -> Path:
        """What does not outlive the machine's running: sockets, namespaces, container files."""
        return _RUNTIME / self._tagged("netyard", "-")

    @property
    def database(self) -> Path:
        return self.root / "netyard.db"

    @cached_property
    def tunnel(self) -> str:
        """The WireGuard device between the hosts of a cluster."""
        return f"nywg{self._tag[:8]}" if self._tag else "netyard-wg"

    @property
    def tunnel_key(self) -> Path:
        return self.root / "wireguard.key"

    @property
    def cluster(self) -> Path:
        return self.root / "cluster.json"

    @property
    def binaries(self) -> Path:
        return self.root / "bin"

    @property
    def restored(self) -> Path:
        """There once what the store wants is there, since the machine was started."""
        return self.run / "restored"

    @property
    def lock(self) -> Path:
        return self.run / "lock"

    @property
    def agent_socket(self) -> Path:
        return self.run / "agent.sock"

    @property
    def dead_agent_socket(self) -> Path:
        """Where that of a killed agent is until the next one listens."""
        return self.run / "agent.sock.dead"

    @property
    def agent_lock(self) -> Path:
        return self.run / "agent.lock"

    @property
    def agent_log(self) -> Path:
        return self.run / "agent.log"

    @cached_property
    def stale_flows(self) -> Path:
        """Addresses whose connections are still to be forgotten, a file each."""
        return self.run / "stale-flows"

    @cached_property
    def namespaces(self) -> Path:
        return self.run / "netns"

    def namespace(self, container_id: str) -> Path:
        """Where a container's network namespace is kept."""
        return self.namespaces / container_id

    def remotes(self, network_id: str) -> Path:
        """What an agent knew of a network's containers on other hosts."""
        return self.run / f"remotes-{short(network_id)}"

    @property
    def containers(self) -> Path:
        return self.run / "c"

    def container(self, container_id: str) -> Path:
        """A container's files: hosts, resolv.conf, hostname, exit record, attach socket."""
        return self.containers / container_id

    def log(self, container_id: str) -> Path:
        """A container's log: on disk, because it may grow."""
        return self.root / "logs" / container_id

    @cached_property
    def table(self) -> str:
        """The nf_tables table."""
        return self._tagged("netyard", "-")

    def alias(self, network: str = "") -> str:
        """What the interfaces of a network say of themselves (``ip link``), or how it begins."""
        # Of the kernel's 256 bytes the name of a network may take 128.
        root = os.fsencode(self.root)[:100].decode(errors="ignore")
        return f"netyard {root}: {network}"

    @cached_property
    def default_bridge(self) -> str:
        """The device of the built-in network ``bridge``."""
        return "netyard0" if not self._tag else f"netyard{self._tag[:7]}"
