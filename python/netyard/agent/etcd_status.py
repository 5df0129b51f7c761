"""Whether etcd can be used at present, and why not: one value, logged when it changes.

Set by the thread that talks to etcd (`netyard.agent.cluster_worker`); it holds no connection.
"""

from __future__ import annotations

import logging

from netyard.errors import ClusterError

_LOG = logging.getLogger("netyard.agent")


class EtcdStatus:
    """See the module.

    Attributes:
        problem: Why etcd cannot be used; empty if it can.
    """

    def __init__(self) -> None:
        self.problem = ""

    def note(self, problem: str) -> None:
        """Set the problem, or its end; log it if it is another one than before."""
        if problem != self.problem:
            level = logging.WARNING if problem else logging.INFO
            _LOG.log(level, "%s", problem or "etcd is back")
        self.problem = problem

    def timeout(self) -> ClusterError:
        """The error for an answer that did not come in time, with its cause if that is known."""
        return ClusterError(self.problem or "etcd does not answer in time")
