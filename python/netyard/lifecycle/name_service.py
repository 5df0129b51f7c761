"""Whether containers have the name server, and how the agent is told of them."""

from __future__ import annotations

from collections.abc import Iterable

from netyard.ipc import agent
from netyard.state.records import Attachment
from netyard.state.root import Change


def has_name_service(attached: Iterable[Attachment]) -> bool:
    """Whether any of these endpoints is on a network with the embedded server."""
    return any(each.network.has_name_service for each in attached)


class NameRefresh:
    """The agent learning of containers' endpoints, beside the kernel making them."""

    def __init__(self, change: Change, *container_ids: str) -> None:
        self._change = change
        self._container_ids = container_ids
        self._refresh: agent.Refresh | None = None

    def begin(self) -> None:
        """Tell the agent; should the operation fail, it is told again."""
        layout, ids = self._change.root.layout, self._container_ids
        self._refresh = agent.begin_refresh(layout, ids)
        self._change.on_failure(lambda: agent.refresh(layout, ids, needed=False, ended=True))

    def finish(self, *, needed: bool) -> None:
        """Wait until it knows; start it if it is needed and does not run."""
        if self._refresh is not None:
            self._refresh.finish(needed=needed)
