"""An etcd client over its JSON gateway (3.4 and later): transactions, leases, snapshots, watches.

`etcd3gw` makes connections and requests. What it lacks is here: a snapshot with its revision, a
transaction with several conditions, failover to other members, and a watch that resumes from a
revision, reports compaction and notices that its connection is dead.

Keys and values are text; their meaning is `netyard.cluster.entries`.
"""

from __future__ import annotations

import json
import socket
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from netyard.errors import ClusterError
from netyard.values import clock
from netyard.values.membership import Access

if TYPE_CHECKING:
    from etcd3gw.client import Etcd3Client

_DEFAULT_PORT = 2379
_TIMEOUT_SECONDS = 3.0
_PAGE = 1000
# TCP keepalive: probes after 5 s without data, and an error 6 s later.
_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 11_000),
]


# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (openssl/x509_vfy.h).
_TOO_EARLY_OR_LATE = (9, 10)


class Compacted(Exception):
    """The revision to resume a watch from has been compacted: take a new snapshot."""


class LeaseLost(ClusterError):
    """The lease to which a key was to be attached has ended."""


class Entry(NamedTuple):
    """A key and its value.

    Attributes:
        revision: Of the last write to it (``mod_revision``).
        lease: The lease that it is attached to; 0 for none.
    """

    key: str
    value: str
    revision: int
    lease: int


class Snapshot(NamedTuple):
    """Entries as they were at one revision."""

    revision: int
    entries: Sequence[Entry]


class Batch(NamedTuple):
    """Changes as a watch reports them; none is missing up to the revision."""

    revision: int
    puts: Sequence[Entry]
    deletes: Sequence[str]


class Put(NamedTuple):
    """A key to write, attached to a lease if that is not 0."""

    key: str
    value: str
    lease: int = 0


class Delete(NamedTuple):
    """A key to delete, or all keys that begin with it."""

    key: str
    is_prefix: bool = False


class Absent(NamedTuple):
    """Condition: this key does not exist, or no key that begins with it does."""

    key: str
    is_prefix: bool = False


class Present(NamedTuple):
    """Condition: this key exists; if a revision is given, it was last written at this one."""

    key: str
    revision: int = 0


Condition = Absent | Present
Change = Put | Delete


class Etcd:
    """A connection to an etcd cluster. One thread at a time.

    Raises:
        ClusterError: from every request, if no member answers or all refuse.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._clients: list[Etcd3Client] = []

    def read(self, *prefixes: str) -> Snapshot:
        """All entries whose keys begin with one of these, at one revision."""
        wanted = [{"request_range": _range(each, True)} for each in prefixes]
        return self._snapshot(self._ask("/kv/txn", {"success": wanted}))

    def pages(self, prefix: str) -> Iterator[Snapshot]:
        """All entries whose keys begin with a prefix, at one revision, in pages."""
        first, revision = prefix, 0
        while True:
            body = {"key": _encode(first), "range_end": _encode(end_of(prefix)), "limit": _PAGE}
            answer = self._ask("/kv/range", {**body, "revision": revision})
            revision = revision or int(answer["header"]["revision"])
            found = [_entry(each) for each in answer.get("kvs", [])]
            yield Snapshot(revision, found)
            if not answer.get("more"):
                return
            first = f"{found[-1].key}\0"

    def keys_of(self, lease: int) -> list[str]:
        """The keys that are attached to a lease."""
        answer = self._ask("/lease/timetolive", {"ID": lease, "keys": True})
        return [_decode(key) for key in answer.get("keys", [])]

    def get(self, *keys: str) -> Snapshot:
        """Entries of these keys, as far as they exist, at one revision; at most 128."""
        wanted = [{"request_range": _range(each, False)} for each in keys]
        return self._snapshot(self._ask("/kv/txn", {"success": wanted}))

    def read_from(self, first: str, end: str, *, limit: int) -> Snapshot:
        """Entries from the key ``first`` on, before ``end``, at most ``limit``."""
        wanted = {"key": _encode(first), "range_end": _encode(end), "limit": limit}
        return self._snapshot(self._ask("/kv/txn", {"success": [{"request_range": wanted}]}))

    def change(self, conditions: Sequence[Condition], changes: Sequence[Change]) -> bool:
        """A transaction: make all changes if all conditions hold; whether they did."""
        body = {
            "compare": [_compare(each) for each in conditions],
            "success": [_operation(each) for each in changes],
        }
        return bool(self._ask("/kv/txn", body).get("succeeded", False))

    def grant(self, seconds: int) -> int:
        """Get a new lease; its id."""
        return int(self._ask("/lease/grant", {"TTL": seconds, "ID": 0})["ID"])

    def keep_alive(self, lease: int) -> bool:
        """Renew a lease; ``False`` if it has ended."""
        answer = self._ask("/lease/keepalive", {"ID": lease})
        return int(answer.get("result", {}).get("TTL", 0)) > 0

    def revoke(self, lease: int) -> None:
        """End a lease, which deletes all keys that are attached to it."""
        self._ask("/lease/revoke", {"ID": lease})

    def watch(
        self, prefix: str, revision: int, began: Callable[[], object] = lambda: None
    ) -> Iterator[Batch]:
        """Changes of keys with this prefix, from a revision on; ends by an error only.

        A batch without changes only has a revision: one every ten minutes in which nothing happens.

        Args:
            began: Called once the watch is established.

        Raises:
            Compacted: if that revision is too old.
            ClusterError: if the connection is lost.
        """
        create: dict[str, Any] = {
            **_range(prefix, True),
            "start_revision": revision,
            "progress_notify": True,
        }
        client = self._some_client()
        try:
            response = client.session.post(
                client.get_url("/watch"),
                json={"create_request": create},
                stream=True,
                timeout=(_TIMEOUT_SECONDS, None),
            )
            with response:
                for message in _messages(response.iter_content(chunk_size=None)):
                    result = message.get("result", {})
                    if int(result.get("compact_revision", 0)):
                        raise Compacted
                    if "error" in message or result.get("canceled"):
                        raise ClusterError(f"etcd at {client.base_url} ended the watch of {prefix}")
                    if result.get("created"):
                        if int(result["header"]["revision"]) < revision - 1:
                            # Another etcd than before, or restored: its history is shorter than
                            # ours.
                            raise Compacted
                        began()
                    else:
                        yield _batch(result)
        except OSError as error:
            self._clients.append(self._clients.pop(0))
            raise _unreachable(client.base_url, error) from error
        raise ClusterError(f"etcd at {client.base_url} closed the watch of {prefix}")

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client.session.close()

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request to one member after the other until one answers."""
        from etcd3gw.exceptions import Etcd3Exception

        self._some_client()
        why: ClusterError | None = None
        for _ in range(len(self._clients)):
            client = self._clients[0]
            try:
                answer: dict[str, Any] = client.post(client.get_url(path), json=body)
                return answer
            except (Etcd3Exception, OSError) as error:
                if "lease not found" in _message_of(error):
                    raise LeaseLost(
                        f"etcd at {client.base_url}: the host's lease has ended"
                    ) from error
                why = why or _unreachable(client.base_url, error)
                self._clients.append(self._clients.pop(0))
        raise why or ClusterError("no etcd is configured")

    def _some_client(self) -> Etcd3Client:
        if not self._clients:
            self._clients = [_connect(url, self._access) for url in self._access.etcd]
        return self._clients[0]

    def _snapshot(self, answer: dict[str, Any]) -> Snapshot:
        found = [
            _entry(each)
            for part in answer.get("responses", [])
            for each in part["response_range"].get("kvs", [])
        ]
        return Snapshot(int(answer["header"]["revision"]), found)


def _connect(url: str, access: Access) -> Etcd3Client:
    try:
        import requests
        from etcd3gw.client import Etcd3Client
        from requests.adapters import HTTPAdapter
    except ImportError as error:
        raise ClusterError(
            f"overlay networks need the Python package {error.name!r}",
            hint="pip install 'netyard[overlay]'",
        ) from error

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, socket_options=_SOCKET_OPTIONS, **kwargs)

    session = requests.Session()
    # HTTP proxies of the environment are not for the hosts' own state.
    session.trust_env = False
    session.verify = access.ca or True
    if access.cert:
        session.cert = (access.cert, access.key)
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())
    parts = urlsplit(url)
    return Etcd3Client(
        host=parts.hostname or "",
        port=parts.port or _DEFAULT_PORT,
        protocol=parts.scheme,
        timeout=_TIMEOUT_SECONDS,
        api_path="/v3/",
        session=session,
    )


def _unreachable(url: str, error: BaseException) -> ClusterError:
    return ClusterError(f"etcd at {url} cannot be used: {_reason(error)}")


def _reason(error: BaseException) -> str:
    """The cause, out of the exceptions that HTTP libraries wrap around it."""
    import ssl

    for each in _wrapped(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"its certificate is refused: {each.verify_message}{_clock(each.verify_code)}"
        if isinstance(each, ssl.SSLError):
            return f"TLS failed: {(each.reason or each.strerror or '').replace('_', ' ').lower()}"
        if isinstance(each, OSError) and each.strerror:
            return each.strerror
        if "timed out" in str(each):
            return "it does not answer in time"
    return _message_of(error) or str(error).partition("\n")[0] or type(error).__name__


def _clock(verify_code: int) -> str:
    """The host's date, if a certificate is not valid yet, or no longer."""
    return (
        f": by this host's clock it is {clock.now()[:10]}"
        if verify_code in _TOO_EARLY_OR_LATE
        else ""
    )


def _wrapped(error: BaseException) -> Iterator[BaseException]:
    """An exception and its causes: its arguments, their ``reason``, and those it is chained to."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        for argument in seen.args:
            for each in (argument, getattr(argument, "reason", None)):
                if isinstance(each, BaseException):
                    yield each
        seen = seen.__cause__ or seen.__context__


def _message_of(error: BaseException) -> str:
    """The error message of etcd; empty if there is none."""
    try:
        return str(json.loads(getattr(error, "detail_text", ""))["error"])
    except (ValueError, KeyError, TypeError):
        return ""


def _messages(chunks: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """JSON objects, one a line, from chunks of any size."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _batch(result: dict[str, Any]) -> Batch:
    puts, deletes = [], []
    events = result.get("events", [])
    # A watch that is behind gets events in pieces, each with etcd's present revision in the header.
    revisions = [int(event["kv"]["mod_revision"]) for event in events]
    for event in events:
        if event.get("type") == "DELETE":
            deletes.append(_decode(event["kv"]["key"]))
        else:
            puts.append(_entry(event["kv"]))
    return Batch(max(revisions, default=int(result["header"]["revision"])), puts, deletes)


def _entry(found: dict[str, Any]) -> Entry:
    return Entry(
        _decode(found["key"]),
        _decode(found.get("value", "")),
        int(found.get("mod_revision", 0)),
        int(found.get("lease", 0)),
    )


def _compare(condition: Condition) -> dict[str, Any]:
    match condition:
        case Absent(key, is_prefix):
            return {
                **_range(key, is_prefix),
                "target": "CREATE",
                "result": "EQUAL",
                "create_revision": 0,
            }
        case Present(key, revision):
            wanted = {"result": "EQUAL"} if revision else {"result": "GREATER"}
            return {**_range(key, False), "target": "MOD", **wanted, "mod_revision": revision}


def _operation(change: Change) -> dict[str, Any]:
    match change:
        case Put(key, value, lease):
            return {"request_put": {"key": _encode(key), "value": _encode(value), "lease": lease}}
        case Delete(key, is_prefix):
            return {"request_delete_range": _range(key, is_prefix)}


def _range(key: str, is_prefix: bool) -> dict[str, str]:
    if not is_prefix:
        return {"key": _encode(key)}
    return {"key": _encode(key), "range_end": _encode(end_of(key))}


def end_of(prefix: str) -> str:
    """The first key after all that begin with a prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _encode(text: str) -> str:
    return b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    return b64decode(text).decode()
