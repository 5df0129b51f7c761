"""An /etc of a lab host's own, in which ``subuid`` and ``subgid`` say what a test wants."""

from __future__ import annotations

from lab import Machine

# What is mounted in the one that was there is to stay.
_OWN_ETC = """
mkdir -p /run/etc/upper /run/etc/work
cp /etc/resolv.conf /run/etc/resolv.conf
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc
cat /run/etc/resolv.conf > /etc/resolv.conf
"""


def own_etc(host: Machine) -> None:
    """Have what is written to /etc stay on the host."""
    host.run("sh", "-ec", _OWN_ETC)


def give(host: Machine, users: str, groups: str | None = None) -> None:
    """Have the files that give ids say something, the same if nothing else."""
    for name, text in (("subuid", users), ("subgid", users if groups is None else groups)):
        host.run("sh", "-c", f"cat > /etc/{name}", input=text)
