"""Container networking without an engine: networks, names, published ports, an isolated firewall.

Example:
    >>> from netyard import Container, Network
    >>> net = Network.create("my-net")
    >>> web = Container.run("python3", "-m", "http.server", "80", name="web", network="my-net")
    >>> Container.run("ping", "-c1", "web", network="my-net").wait()
    0
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
    from netyard.api.cluster import Member as Member
    from netyard.api.container import Container as Container
    from netyard.api.endpoint import Endpoint as Endpoint
    from netyard.api.event import Event as Event
    from netyard.api.event import EventStream as EventStream
    from netyard.api.host import Host as Host
    from netyard.api.network import Network as Network
    from netyard.api.request import NetworkRequest as NetworkRequest
    from netyard.api.settings import AdoptSettings as AdoptSettings
    from netyard.api.settings import ContainerSettings as ContainerSettings
    from netyard.api.settings import NetworkSettings as NetworkSettings
    from netyard.errors import AddressInUse as AddressInUse
    from netyard.errors import AgentError as AgentError
    from netyard.errors import ClusterError as ClusterError
    from netyard.errors import Conflict as Conflict
    from netyard.errors import DriverError as DriverError
    from netyard.errors import Exhausted as Exhausted
    from netyard.errors import Forbidden as Forbidden
    from netyard.errors import Invalid as Invalid
    from netyard.errors import KernelError as KernelError
    from netyard.errors import NameInUse as NameInUse
    from netyard.errors import NetyardError as NetyardError
    from netyard.errors import NotFound as NotFound
    from netyard.errors import PermissionDenied as PermissionDenied
    from netyard.errors import PortInUse as PortInUse
    from netyard.errors import Several as Several
    from netyard.errors import StartFailed as StartFailed
    from netyard.errors import StateError as StateError
    from netyard.errors import StoreError as StoreError
    from netyard.errors import SubnetOverlap as SubnetOverlap
    from netyard.errors import TimedOut as TimedOut
    from netyard.errors import Unsupported as Unsupported
    from netyard.runtime.execution import Execution as Execution
    from netyard.runtime.execution import Output as Output
    from netyard.runtime.logs import LogRecord as LogRecord

_ERRORS = (
    "AddressInUse AgentError ClusterError Conflict DriverError Exhausted Forbidden Invalid "
    "KernelError NameInUse NetyardError NotFound PermissionDenied PortInUse Several StartFailed "
    "StateError StoreError SubnetOverlap TimedOut Unsupported"
).split()
_HOME = {
    "AdoptSettings": "netyard.api.settings",
    "Container": "netyard.api.container",
    "ContainerSettings": "netyard.api.settings",
    "Endpoint": "netyard.api.endpoint",
    "Event": "netyard.api.event",
    "EventStream": "netyard.api.event",
    "Execution": "netyard.runtime.execution",
    "Host": "netyard.api.host",
    "LogRecord": "netyard.runtime.logs",
    "Member": "netyard.api.cluster",
    "Network": "netyard.api.network",
    "NetworkRequest": "netyard.api.request",
    "NetworkSettings": "netyard.api.settings",
    "Output": "netyard.runtime.execution",
    **dict.fromkeys(_ERRORS, "netyard.errors"),
}

__all__ = [
    "AddressInUse",
    "AdoptSettings",
    "AgentError",
    "ClusterError",
    "Conflict",
    "Container",
    "ContainerSettings",
    "DriverError",
    "Endpoint",
    "Event",
    "EventStream",
    "Execution",
    "Exhausted",
    "Forbidden",
    "Host",
    "Invalid",
    "KernelError",
    "LogRecord",
    "Member",
    "NameInUse",
    "Network",
    "NetworkRequest",
    "NetworkSettings",
    "NetyardError",
    "NotFound",
    "Output",
    "PermissionDenied",
    "PortInUse",
    "Several",
    "StartFailed",
    "StateError",
    "StoreError",
    "SubnetOverlap",
    "TimedOut",
    "Unsupported",
    "__version__",
]


# Unknown to type checkers, which would take a misspelt name for an object.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import on first use: ``netyard version`` must not pay for what it does not need."""
        if name == "__version__":
            return getattr(import_module("netyard._core"), name)
        if name in _HOME:
            return getattr(import_module(_HOME[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, imported or not, for completion and ``help``."""
    return [*__all__, *(name for name in globals() if name.startswith("__") and name != "__all__")]
