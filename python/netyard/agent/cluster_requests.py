"""Requests of commands about the cluster: each ``what`` of a message, and its answer.

The other side is `netyard.ipc.cluster`. What is done is in `cluster_member` and below; an error is
an answer as well, which the command raises again.
"""

from __future__ import annotations

import logging
from ipaddress import ip_address
from typing import Any

from netyard.agent.cluster_member import ClusterMember
from netyard.cluster import entries
from netyard.cluster.entries import EndpointEntry
from netyard.cluster.etcd import LeaseLost
from netyard.cluster.registry import Registry
from netyard.errors import Conflict, NetyardError
from netyard.state.records import NetworkRecord
from netyard.state.store import Store
from netyard.values import membership

_LOG = logging.getLogger("netyard.agent")

Message = dict[str, Any]


class ClusterRequests:
    """See the module."""

    def __init__(self, member: ClusterMember, store: Store) -> None:
        self._member = member
        self._store = store

    def answer(self, message: Message) -> Message:
        """Do what a message asks; its answer, which says so if that has failed."""
        try:
            try:
                return self._handle(message)
            except LeaseLost:
                # It ended unnoticed since it was last kept: no reason to refuse.
                if self._member.settings is not None:
                    self._member.enter(self._member.settings)
                return self._handle(message)
        except NetyardError as error:
            return {
                "refused": type(error).__name__,
                "message": str(error),
                "hint": error.hint,
                "holder": getattr(error, "holder", ""),
            }
        except Exception as error:
            # A command must not wait for an answer that does not come.
            _LOG.exception("%s", message.get("what"))
            return {"error": repr(error)}

    def _handle(self, message: Message) -> Message:
        """Requests that do not need etcd; the others by `_handle_present`."""
        match message["what"]:
            case "join":
                self._member.join(membership.parse(membership.KEY, message["settings"]))
                return {}
            case "leave":
                self._member.leave()
                return {}
            case "repair":
                self._member.watches.repair_remotes()
                return {}
            case "endpoints":
                found = self._member.endpoints_on(message["network"])
                return {"endpoints": [each.to_json() for each in found]}
        return self._handle_present(self._member.present(), message)

    def _handle_present(self, registry: Registry, message: Message) -> Message:
        match message["what"]:
            case "hosts":
                return {"hosts": [each.to_json() for each in registry.hosts().values()]}
            case "networks":
                known = registry.networks().records
                return {"networks": [entries.network_to_json(each) for each in known]}
            case "add":
                registry.add_network(entries.network_from_json(message["network"]))
            case "remove":
                registry.remove_network(entries.network_from_json(message["network"]))
            case "self":
                return {"host": registry.host.to_json()}
            case "prepare":
                self._member.watches.prepare_tunnel(self._member.membership(), registry)
            case "rotate-key":
                self._member.watches.rotate_key(registry)
            case "claim":
                return self._claim(registry, message)
            case "follow":
                network = self._network(message["network"])
                self._member.watches.watch_remotes(self._member.membership(), network)
            case "publish":
                self._member.local.publish(registry, message["endpoints"])
            case what:
                return {"error": f"unknown request {what!r}"}
        return {}

    def _claim(self, registry: Registry, message: Message) -> Message:
        network = self._network(message["network"])
        wanted = {
            int(version): ip_address(text) if text else None
            for version, text in message["wanted"].items()
        }
        endpoint = EndpointEntry.planned(registry.host, network.id, **message["endpoint"])
        found = self._member.local.claim(registry, network, endpoint, wanted)
        return {"addresses": found}

    def _network(self, network_id: str) -> NetworkRecord:
        found = self._store.network(network_id)
        if found is None:
            raise Conflict(f"there is no network {network_id[:12]!r} any more")
        return found
