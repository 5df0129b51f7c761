"""Published ports as users type them, and as they are shown.

Docker's four forms and the ranges (contract PB1 to PB6a). Which host ports are free is not known
here: see `netyard.ports.host_ports`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from netyard.errors import Invalid
from netyard.values.named import NamedTuple
from netyard.values.parse import Address, parse_address

PROTOCOLS = ("tcp", "udp", "sctp")
_PORT_MAX = 65535


# Host and container port alone, as nearly all of thousands are.
_PLAIN = re.compile(r"([1-9][0-9]{0,4}):([1-9][0-9]{0,4})((?:/(?:tcp|udp|sctp))?)")
# How many there must be for it to matter that they are kept as ranges.
_MANY = 32


class PortRequest(NamedTuple):
    """A container port to be published; or several in a row, each at a host port of its own.

    Attributes:
        container_port: The first port inside.
        protocol: ``tcp``, ``udp`` or ``sctp``.
        host_ip: ``None`` for every address of both families.
        host_ports: Candidates for the one port, in order; empty means any that is free. For several
            ports, as many host ports.
        text: What the user typed; ``""`` if it was typed as several.
        length: How many ports it is.
    """

    container_port: int
    protocol: str
    host_ip: Address | None
    host_ports: Sequence[int]
    text: str
    length: int = 1

    @property
    def is_fixed(self) -> bool:
        """Whether there is one host port for each container port, and no choice."""
        return len(self.host_ports) == self.length

    def part(self, first: int, length: int) -> "PortRequest":
        """So many of its ports, from a container port on."""
        ahead = first - self.container_port
        hosts = self.host_ports[ahead : ahead + length] if self.length > 1 else self.host_ports
        return self._replace(container_port=first, host_ports=hosts, length=length)

    @property
    def shown(self) -> str:
        """What to call it in messages."""
        return self.text or self.typed()

    def typed(self) -> str:
        """Words for it that `parse_publish` takes."""
        shown = str(self.host_ip or "")
        address = f"[{shown}]:" if ":" in shown else f"{shown}:" if shown else ""
        hosts = self.host_ports or (0,)
        host, inside = span(hosts[0], len(hosts)), span(self.container_port, self.length)
        return f"{address}{host}:{inside}/{self.protocol}"

    def follows(self, other: "PortRequest") -> bool:
        """Whether another ends where this begins, on both sides."""
        return (
            self.is_fixed
            and other.is_fixed
            and self.container_port == other.container_port + other.length
            and self.host_ports[0] == other.host_ports[0] + other.length
            and (self.protocol, self.host_ip) == (other.protocol, other.host_ip)
        )


def singly(requests: Iterable[PortRequest]) -> Iterator[PortRequest]:
    """The same ports, one by one."""
    for request in requests:
        if request.length == 1:
            yield request
            continue
        for ahead in range(request.length):
            yield request.part(request.container_port + ahead, 1)


def joined(requests: Iterable[PortRequest]) -> Iterator[PortRequest]:
    """The same ports, those in a row together."""
    run: PortRequest | None = None
    for request in requests:
        if run is not None and request.follows(run):
            count = run.length + request.length
            hosts = range(run.host_ports[0], run.host_ports[0] + count)
            run = run._replace(host_ports=hosts, length=count, text="")
            continue
        if run is not None:
            yield run
        run = request
    if run is not None:
        yield run


def compacted(texts: Sequence[str]) -> tuple[str, ...]:
    """The same ports in fewer words, where there are very many."""
    if len(texts) < _MANY:
        return tuple(texts)
    found: list[str] = []
    begun: re.Match[str] | None = None
    count, following = 0, ""
    for text in texts:
        if text != following:
            found += _row_text(begun, count)
            begun, count = _PLAIN.fullmatch(text), 0
            found += [] if begun else [text]
        count += 1
        following = _plain_text(begun, count) if begun else ""
    return (*found, *_row_text(begun, count))


def _plain_text(begun: re.Match[str], ahead: int) -> str:
    """The text so far on from one that `_PLAIN` matches."""
    return f"{int(begun[1]) + ahead}:{int(begun[2]) + ahead}{begun[3]}"


def _row_text(begun: re.Match[str] | None, count: int) -> list[str]:
    if begun is None:
        return []
    return [f"{span(int(begun[1]), count)}:{span(int(begun[2]), count)}{begun[3]}"]


def span(first: int, count: int) -> str:
    """``80`` or ``80-89``."""
    return str(first) if count == 1 else f"{first}-{first + count - 1}"


def parse_publish(text: str) -> list[PortRequest]:
    """``[HOST_IP:][HOST_PORT[-END]:]CONTAINER_PORT[-END][/PROTOCOL]``, or the long form.

    Raises:
        Invalid: naming the part that is wrong.
    """
    field = "--publish"
    plain = _PLAIN.fullmatch(text)
    if plain and int(plain[1]) <= _PORT_MAX and int(plain[2]) <= _PORT_MAX:
        return [PortRequest(int(plain[2]), plain[3][1:] or "tcp", None, (int(plain[1]),), text)]
    if "=" in text:
        return _parse_long(field, text)
    body, protocol = _split_protocol(field, text)
    host_ip, rest = _split_host_ip(field, body)
    host, separator, container = rest.rpartition(":")
    return _expand(field, text, host_ip, host if separator else "", container, protocol)


def _parse_long(field: str, text: str) -> list[PortRequest]:
    values: dict[str, str] = {}
    for word in text.split(","):
        key, separator, value = word.partition("=")
        if not separator or key not in ("published", "target", "protocol", "host_ip"):
            raise Invalid(
                f"{field}: {word!r} must be published=, target=, protocol= or host_ip= and a value",
                field=field,
                value=text,
            )
        values[key] = value
    if "target" not in values:
        raise Invalid(f"{field}: {text!r} needs target=PORT", field=field, value=text)
    protocol = _check_protocol(field, values.get("protocol", "tcp"), text)
    host_ip = parse_address(field, values["host_ip"]) if values.get("host_ip") else None
    return _expand(field, text, host_ip, values.get("published", ""), values["target"], protocol)


def _split_protocol(field: str, text: str) -> tuple[str, str]:
    body, separator, protocol = text.partition("/")
    return body, _check_protocol(field, protocol if separator else "tcp", text)


def _check_protocol(field: str, protocol: str, text: str) -> str:
    if protocol.lower() not in PROTOCOLS:
        raise Invalid(
            f"{field}: {text!r} has protocol {protocol!r}, which is none of tcp, udp, sctp",
            field=field,
            value=text,
        )
    return protocol.lower()


def _split_host_ip(field: str, body: str) -> tuple[Address | None, str]:
    """The host address, bracketed or bare IPv6 included, and the rest."""
    bracketed = re.fullmatch(r"\[([^]]*)\]:(.*)", body)
    if bracketed:
        return parse_address(field, bracketed[1]), bracketed[2]
    parts = body.split(":")
    if len(parts) <= 2:
        return None, body
    address = ":".join(parts[:-2])
    rest = ":".join(parts[-2:])
    return (parse_address(field, address) if address else None), rest


def _expand(
    field: str, text: str, host_ip: Address | None, host: str, container: str, protocol: str
) -> list[PortRequest]:
    if not container:
        raise Invalid(f"{field}: {text!r} has no container port", field=field, value=text)
    inside = _parse_range(field, text, container, "container port")
    outside = [] if host in ("", "0") else _parse_range(field, text, host, "host port")
    if outside and len(outside) != len(inside) and len(inside) != 1:
        raise Invalid(
            f"{field}: {text!r} has {len(outside)} host ports for {len(inside)} container ports",
            field=field,
            value=text,
        )
    if len(inside) == 1 or outside:
        return [PortRequest(inside[0], protocol, host_ip, outside, text, len(inside))]
    return [PortRequest(port, protocol, host_ip, (), text) for port in inside]


def _parse_range(field: str, text: str, ports: str, what: str) -> Sequence[int]:
    match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", ports)
    if not match:
        raise Invalid(
            f"{field}: {text!r} has {what} {ports!r}, which is no number from 1 to {_PORT_MAX}",
            field=field,
            value=text,
        )
    first, last = int(match[1]), int(match[2] or match[1])
    for port in (first, last):
        if not 1 <= port <= _PORT_MAX:
            raise Invalid(
                f"{field}: {text!r} has {what} {port}, which is not from 1 to {_PORT_MAX}",
                field=field,
                value=text,
            )
    if last < first:
        raise Invalid(
            f"{field}: {text!r} has a range that ends before it begins", field=field, value=text
        )
    return range(first, last + 1)


def parse_expose(text: str) -> list[tuple[int, str]]:
    """``PORT[-END][/PROTOCOL]`` of ``--expose`` (contract PB8)."""
    field = "--expose"
    body, separator, protocol = text.partition("/")
    protocol = _check_protocol(field, protocol if separator else "tcp", text)
    return [(port, protocol) for port in _parse_range(field, text, body, "port")]


def parse_query(text: str) -> tuple[int, str]:
    """``PORT[/PROTOCOL]`` of ``netyard port``."""
    body, separator, protocol = text.partition("/")
    protocol = _check_protocol("port", protocol if separator else "tcp", text)
    return _parse_range("port", text, body, "port")[0], protocol


def families_of(host_ip: Address | None) -> tuple[int, ...]:
    """The families a publication is for; no host address means both (contract BO4)."""
    return (4, 6) if host_ip is None else (host_ip.version,)


def stored_host_ip(host_ip: Address | None) -> str:
    """A host address as publications keep it: every address of a family is ``""``."""
    return "" if host_ip is None or host_ip.is_unspecified else str(host_ip)


def format_side(host_ip: str, family: int, port: int, count: int = 1) -> str:
    """``0.0.0.0:8080`` or ``[::]:8080-8089``, as Docker prints it."""
    if not host_ip:
        host_ip = "0.0.0.0" if family == 4 else "::"
    return f"[{host_ip}]:{span(port, count)}" if family == 6 else f"{host_ip}:{span(port, count)}"
