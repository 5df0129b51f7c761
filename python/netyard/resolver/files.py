"""A container's hosts, hostname and resolv.conf: their text, and reading and writing such files.

When they are written is `netyard.lifecycle.etc_files`. Files are written in place, never by rename:
they are bind-mounted, and the container would not see a new inode.
"""

import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from netyard.state.small_files import read_small
from netyard.values.named import NamedTuple
from netyard.values.parse import Address

NAME_SERVER = "127.0.0.11"
_STUB = "127.0.0.53"
_TRIES = 3
_RESOLVED = Path("/run/systemd/resolve/resolv.conf")
_FALLBACK4 = ("8.8.8.8", "8.8.4.4")
_FALLBACK6 = ("2001:4860:4860::8888", "2001:4860:4860::8844")
_IPV6_LINES = (
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::\tip6-localnet",
    "ff00::\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
)


class ResolvConf(NamedTuple):
    """A parsed resolv.conf (resolv.conf(5))."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "ResolvConf":
        """Read a file: the last ``search`` or ``domain`` wins, ``options`` add up."""
        servers: list[str] = []
        search: tuple[str, ...] = ()
        options: list[str] = []
        others: list[str] = []
        for line in text.split("\n"):
            words = line.split("#")[0].split(";")[0].split()
            if not words:
                continue
            if words[0] == "nameserver" and len(words) > 1:
                servers.append(words[1])
            elif words[0] in ("search", "domain"):
                search = tuple(words[1:])
            elif words[0] == "options":
                options += words[1:]
            elif words[0] != "nameserver":
                others.append(" ".join(words))
        return cls(tuple(servers), search, tuple(options), tuple(others))

    @classmethod
    def of_host(cls) -> "ResolvConf":
        """The host's; empty if it has none."""
        return cls.parse(read_text(Path("/etc/resolv.conf")))

    @classmethod
    def to_copy(cls) -> "ResolvConf":
        """The host's, for a place where its loopback cannot be reached (contract DN25).

        If systemd-resolved's stub is the only server, systemd-resolved's file with the real ones.
        """
        own = cls.of_host()
        real = read_text(_RESOLVED) if own.servers == (_STUB,) else ""
        return cls.parse(real) if real else own

    def render(self, comment: str) -> str:
        """The file's text, with a comment at its end."""
        lines = [f"nameserver {server}" for server in self.servers]
        if self.search:
            lines.append("search " + " ".join(self.search))
        if self.options:
            lines.append("options " + " ".join(self.options))
        return "\n".join([*lines, *self.others, "", f"# {comment}", ""])


def resolv_conf(
    host: ResolvConf,
    *,
    has_name_service: bool,
    has_ipv6: bool,
    is_host_mode: bool,
    dns: Sequence[str],
    search: Sequence[str],
    options: Sequence[str],
) -> str:
    """The text of a container's resolv.conf (contract RS1 to RS9)."""
    chosen_search = tuple(search) if search else host.search
    if chosen_search == (".",):
        chosen_search = ()
    chosen_options = tuple(options) if options else host.options
    if has_name_service:
        if not any(option.startswith("ndots:") for option in chosen_options):
            chosen_options = (*chosen_options, "ndots:0")
        servers: Iterable[str] = (NAME_SERVER,)
        comment = f"made by netyard; upstreams: {' '.join(dns) or 'host(/etc/resolv.conf)'}"
    elif dns:
        servers, comment = dns, "made by netyard from --dns"
    elif is_host_mode:
        servers, comment = host.servers, "made by netyard from the host's file"
    else:
        servers = _reachable(host.servers, has_ipv6)
        comment = "made by netyard from the host's file, without servers on its loopback"
    given = {"nameserver": dns, "search": search, "options": options}
    overridden = " ".join(name for name, values in given.items() if values)
    if overridden:
        comment += f"\n# overridden: {overridden}"
    return ResolvConf(tuple(servers), chosen_search, chosen_options, host.others).render(comment)


def _reachable(servers: Iterable[str], has_ipv6: bool) -> tuple[str, ...]:
    """The host's servers a container on the default network can reach, or public ones."""
    kept = []
    for server in servers:
        address = _address(server)
        if address is None or address.is_loopback or (address.version == 6 and not has_ipv6):
            continue
        kept.append(server)
    if kept:
        return tuple(kept)
    return (*_FALLBACK4, *_FALLBACK6) if has_ipv6 else _FALLBACK4


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def upstreams_of(servers: Iterable[str]) -> list[tuple[Address, str, int]]:
    """Servers as `netyard._core` takes them: address, zone, port. Invalid ones are left out."""
    found = []
    for server in servers:
        bare, _, zone = server.partition("%")
        address = _address(bare)
        if address is not None and str(address) != NAME_SERVER:
            found.append((address, zone, 53))
    return found


def own_lines(addresses: Iterable[Address], hostname: str, domainname: str) -> list[str]:
    """The container's own lines in its hosts file (contract EH2)."""
    full = f"{hostname}.{domainname}" if domainname else hostname
    first = full.partition(".")[0]
    names = f"{full} {first}" if first != full else full
    return [f"{address}\t{names}" for address in addresses]


def hosts_file(
    *,
    addresses: Sequence[Address],
    hostname: str,
    domainname: str,
    extra: Iterable[tuple[str, str]],
    has_ipv6: bool,
) -> str:
    """The text of a container's /etc/hosts (contract EH1)."""
    lines = ["127.0.0.1\tlocalhost"]
    if has_ipv6:
        lines += _IPV6_LINES
    lines += [f"{address}\t{name}" for name, address in extra]
    lines += own_lines(addresses, hostname, domainname)
    return "\n".join(lines) + "\n"


def with_lines(text: str, lines: Iterable[str]) -> str:
    """A hosts file with further lines at its end."""
    if text and not text.endswith("\n"):
        text += "\n"
    return text + "".join(line + "\n" for line in lines)


def without_lines(text: str, lines: Iterable[str]) -> str:
    """A hosts file without exactly these lines; what the user added stays (contract EH3)."""
    unwanted = set(lines)
    return "\n".join(line for line in text.split("\n") if line not in unwanted)


def read_text(path: Path) -> str:
    """A small file's text; empty if it is not there, or nothing that can be such a file."""
    try:
        return read_small(path).decode(errors="replace")
    except OSError:
        return ""


def remove_directory(path: Path) -> None:
    """Remove a directory and the files in it. A missing one is no error."""
    with suppress(FileNotFoundError):
        for tries_left in reversed(range(_TRIES)):
            for entry in path.iterdir():
                entry.unlink(missing_ok=True)
            try:
                path.rmdir()
                return
            except OSError as error:
                # A supervisor has just written a file there, its last.
                if error.errno != errno.ENOTEMPTY or not tries_left:
                    raise


def _check_room(fd: int, wanted: int, path: str) -> None:
    """Before anything is overwritten: the container may have filled its file system."""
    room = os.fstatvfs(fd)
    pages = -(-wanted // room.f_bsize)
    if pages * room.f_bsize > os.fstat(fd).st_blocks * 512 + room.f_bavail * room.f_bsize:
        raise _full(path)


def _full(path: str) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def write_in_place(path: Path, text: str) -> None:
    """Replace a file's content, keeping its inode, in one write.

    Never follows a symbolic link: the directory is netyard's, but the container can change the
    files that are mounted from it.

    Raises:
        OSError: if there is no room for it; then the file is as it was.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o644)
    try:
        data = text.encode(errors="surrogateescape")
        _check_room(fd, len(data), str(path))
        if os.pwrite(fd, data, 0) < len(data):
            raise _full(str(path))
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)
