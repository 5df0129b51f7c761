"""Command lines, templates and files as nobody should write them, for tests that give them to netyard.

Command lines are made from netyard's own table of commands: each with its options and arguments,
with values that are right, nearly right, of other options, very long, or any bytes at all. Only what
an argument of a program can be: no NUL, and bytes that are no UTF-8 as Python reads them.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable

import click
from hypothesis import strategies as st

from netyard.cli.main import cli

#: How many examples: few where all tests run, 20,000 by `make test-all`.
EXAMPLES = int(os.environ.get("WORDS_EXAMPLES", "500"))
#: What a command may take of the processor, in seconds.
MOST_SECONDS = 1.0

NETWORK, BOX, STOPPED, ROOTFS = "net", "box", "old", "/run/words/rootfs"

_NUMBERS = [
    *("0", "1", "-1", "80", "1e20", "1e400", "nan", "inf", "-inf", "1_0", "٣", "0x10", "1.5"),
    *("+1", "9" * 5000, "-" + "9" * 5000, "0" * 5000, "1" + "0" * 30, str(2**63), str(2**64)),
    str(2**32 - 1),
]
_ADDRESSES = [
    *("10.80.0.9", "10.80.1.1", "fd00::9", "::1", "fe80::1%lo", "0.0.0.0", "::"),
    *("255.255.255.255", "10.80.0.0/24", "10.81.0.0/16", "10.82.0.0/33", "fd00:82::/64", "1.2.3"),
    *("::ffff:1.2.3.4", "127.0.0.1", "224.0.0.1", "10.80.0.9/", "10.80.0.9/1e2", "[::1]"),
    "10.0.0.0/" + "9" * 5000,
]
_PORTS = [
    *("80", "8080:80", "127.0.0.1:8080:80/udp", "[::1]:80:80", "8000-8002:80-82", "0:0", ":"),
    *("::", "80/", "80:80:80:80", "65536:80", "1-65535:1-65535", "1-65535", "80-1:1", "9" * 5000),
    *("٣:٣", "80/tcp/udp"),
]
_PAIRS = [
    *("a=b", "a", "=", "=b", "a==", "a=\n", "net.ipv4.ip_forward=1", "net.=", "kernel.x=1"),
    *("name=net", "net.ipv4.conf.lo.x=1", "com.docker.network.driver.mtu=1400", "parent=lo.5"),
    *("parent=lo." + "9" * 5000, "com.docker.network.driver.mtu=" + "9" * 5000),
    *("com.docker.network.bridge.name=br/x", "vni=1", "name=net,alias=x,alias=y", 'name="net'),
    *("name=net,gw-priority=" + "9" * 5000, "name=net,ip=x"),
    "name=net,driver-opt=com.docker.network.endpoint.ifname=eth9",
]
_FILTERS = [
    *("name=net", "name=(", "name=(a+)+$", "name=" + "(" * 2000, "name=a{1,99999999}"),
    *("label=a=b", "until=1h", "until=" + "9" * 5000, "until=" + "9" * 400 + "h"),
    *("status=running", "exited=0", "exited=" + "9" * 5000, "publish=80", "publish=1-65535"),
    *("before=old", "since=ghost", "id=[", "dangling=true", "dangling=x", "type=custom"),
    *("event=start", "label!=a", "name=[", "name=\\"),
]
_TIMES = [
    *("10m", "1h30m", "0", "1700000000", "2026-01-02T03:04:05.123456789Z", "0001-01-01"),
    *("9999-12-31", "-1h", "9" * 400 + "h", "1e9s", "9" * 5000, "2026-13-01"),
    *("0001-01-01T00:00:00+14:00", "1.2.3s", "0." + "1" * 50_000),
]
_NAMES = [NETWORK, BOX, STOPPED, "bridge", "host", "none", "ghost", "container:box", "new"]
_FILES = [
    "/run/words",
    "/run/words/env",
    ROOTFS,
    "/etc/passwd",
    "/no/where",
    "",
    ".",
    "/run/words/" + "x" * 300,
]
_WORDS = [
    *("true", "--", "-", "--debug", "--help", "-x", "", " ", "\n", "\t", "é", "\x1b[31m"),
    *("a" * 300, "a,b", "TERM", "SIGKILL", "64", "0:0", "root", "4294967295", "0:4294967295"),
    *("ghost:ghost", "json", "table", "table {{.ID}}", "bridge", "macvlan", "ipvlan", "overlay"),
    *("dhcp", "null", "02:42:ac:11:00:02", "01:00:00:00:00:01", "db:host-gateway", "db:[::1]"),
    *("NET_ADMIN", "ALL", "FLY", "ndots:2", "a.b.c", "." * 300, "http://127.0.0.1:1", "http://["),
    *("http://127.0.0.1:99999", "["),
]


def _as_argument(data: bytes) -> str:
    return os.fsdecode(data.replace(b"\0", b""))


def _any_text() -> st.SearchStrategy[str]:
    typed = st.text(max_size=20).map(
        lambda text: _as_argument(text.encode("utf-8", "surrogatepass"))
    )
    raw = st.binary(max_size=20).map(_as_argument)
    very_long = [each * 60_000 for each in ("a", "9", "(", "{{", "é", ",", "=", ".", "9.")]
    return st.one_of(typed, raw, st.sampled_from(["\udcff", "a\udc80b", *very_long]))


#: Pieces of templates: what is right, and what nearly is.
_PIECES = [
    *("{{", "}}", "{{.Name}}", "{{.}}", "{{json .}}", "{{end}}", "{{else}}", "{{range .}}"),
    *("{{if .Name}}", "{{range $k, $v := .Labels}}", "{{$k}}", "{{$}}", "{{$.Name}}"),
    *('{{.Label "a"}}', "{{.Label 1 2}}", "{{.Label}}", '{{"\\x"}}', '{{"\\u12"}}'),
    *('{{"\\ud800"}}', '{{"\\t"}}', "{{`a`}}", '{{"', "{{| len}}", "{{. | }}", "{{()}}", "{{("),
    *("{{range 5}}", "{{range 999999999999}}", "{{range .Name}}", "{{len 1}}", "{{index . 1}}"),
    *('{{index . "Name" 0}}', "{{index . .}}", "{{join . .}}", '{{join .Config "\\n"}}'),
    *("{{eq}}", "{{eq . .}}", "{{ne 1}}", "{{not}}", "{{println}}", "{{upper .}}", "{{lower 1}}"),
    *("{{json}}", "{{" + "9" * 5000 + "}}", "{{-" + "9" * 5000 + "}}", "{{٣}}", "{{- .Name -}}"),
    *("{{/* x */}}", "{{range .}}" * 60, "{{if 1}}" * 2000, "{{" + "(" * 2000),
    *("{{." + " | json" * 40 + "}}", "{{." + " | println" * 3000 + "}}"),
    *("{{json" + " ." * 3000 + "}}", "{{.A" + ".B" * 3000 + "}}"),
    "{{range $a, $b := .}}" * 12 + "{{json $}}" + "{{end}}" * 12,
    *("{{range $.Config}}" * 12 + "x" + "{{end}}" * 12, "{{println" + " ." * 20_000 + "}}"),
    *("{{" * 30_000, "{{.Name}}" * 5_000),
]


def templates() -> st.SearchStrategy[str]:
    """What may follow ``--format``."""
    tokens = st.sampled_from(
        [
            *'. .Name .Labels .Config $ $k ( ) | := , " ` \\ 1 - json index len join upper println eq not'.split(),
            '"a"',
            " ",
        ]
    )
    action = st.lists(tokens, max_size=8).map(lambda words: "{{" + " ".join(words) + "}}")
    piece = st.one_of(st.sampled_from(_PIECES), action, st.text(max_size=5))
    nested = st.recursive(
        piece,
        lambda inner: st.tuples(
            st.sampled_from(
                [
                    "{{range .}}",
                    "{{range $k, $v := .}}",
                    "{{if .}}",
                    "{{range .Config}}",
                    "{{if eq 1 1}}",
                ]
            ),
            st.lists(inner, max_size=3).map("".join),
            st.sampled_from(["{{end}}", "{{else}}x{{end}}", ""]),
        ).map("".join),
        max_leaves=12,
    )
    return st.lists(nested, max_size=3).map("".join)


_RIGHT: dict[str, list[str]] = {
    **dict.fromkeys(("publish", "expose", "wanted"), _PORTS),
    **dict.fromkeys(
        ("ip", "ip6", "dns", "subnet", "gateway", "ip_range", "link_local_ip", "aux_address"),
        _ADDRESSES,
    ),
    **dict.fromkeys(("label", "env", "sysctl", "opt", "ipam_opt", "driver_opt"), _PAIRS),
    **dict.fromkeys(("name", "names", "network_name", "container", "new_name"), _NAMES),
    **dict.fromkeys(("since", "until"), _TIMES),
    **dict.fromkeys(("timeout", "tail", "pid", "gw_priority", "lease", "user"), _NUMBERS),
    **dict.fromkeys(("env_file", "rootfs", "workdir", "netns", "ca", "cert", "key"), _FILES),
    "network": _NAMES + _PAIRS,
    "filters": _FILTERS,
    "command": [
        *("true", "true", "--", "--debug", "sleep", "/no/where", "a\udcff"),
    ],
    "key": [
        *("dns", "dns-opts", "dns-search", "bip", "mtu", "dns-ttl", "default-address-pools"),
        "cluster",
    ],
    "value": [
        *(*_NUMBERS, '["a"]', '"\\ud800"', '["\\ud800"]', "[" * 3000, "{}", "1e999"),
        *('{"a": ' * 3000, "true"),
    ],
}
_EVERYTHING = [
    *(*_NUMBERS, *_ADDRESSES, *_PORTS, *_PAIRS, *_FILTERS, *_TIMES, *_NAMES, *_FILES, *_WORDS),
]
_ANY = st.one_of(st.sampled_from(_EVERYTHING), _any_text())
_TEMPLATES = templates()


@functools.cache
def _values_of(name: str, choices: tuple[str, ...]) -> st.SearchStrategy[str]:
    if choices:
        return st.one_of(st.sampled_from(choices), st.sampled_from(choices), _ANY)
    if name in ("template", "output_format"):
        return st.one_of(_TEMPLATES, _TEMPLATES, _ANY)
    right = st.sampled_from(_RIGHT.get(name, _WORDS))
    return st.one_of(right, right, _ANY)


def _values(parameter: click.Parameter) -> st.SearchStrategy[str]:
    found = parameter.type
    choices = tuple(map(str, found.choices)) if isinstance(found, click.Choice) else ()
    return _values_of(parameter.name or "", choices)


Path = tuple[str, ...]


def commands(group: click.Group = cli, above: Path = ()) -> dict[Path, click.Command]:
    """Every command there is, by the words it is called with."""
    found: dict[Path, click.Command] = {}
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found[(*above, name)] = command
        if isinstance(command, click.Group):
            found |= commands(command, (*above, name))
    return found


def _joined(words: Iterable[list[str]]) -> list[str]:
    return [word for some in words for word in some]


def _option(option: click.Option) -> st.SearchStrategy[list[str]]:
    """An option as typed, with its value if it takes one."""
    flags = st.sampled_from(option.opts)
    if option.is_flag:
        return flags.map(lambda flag: [flag])
    apart = st.tuples(flags, _values(option)).map(list)
    joined = st.tuples(st.just(option.opts[-1]), _values(option)).map(lambda pair: ["=".join(pair)])
    return st.one_of(apart, apart, joined)


def _line_of(path: Path, command: click.Command) -> st.SearchStrategy[list[str]]:
    pieces: list[st.SearchStrategy[list[str]]] = [st.sampled_from(_BEFORE), st.just(list(path))]
    options = [_option(each) for each in command.params if isinstance(each, click.Option)]
    if options:
        pieces.append(st.lists(st.one_of(options), max_size=4).map(_joined))
    for argument in command.params:
        if isinstance(argument, click.Argument):
            most = 3 if argument.nargs < 0 else 1
            pieces.append(st.lists(_values(argument), min_size=min(1, most), max_size=most))
    pieces.append(st.one_of(*[st.just([])] * 9, st.lists(_ANY, max_size=2)))
    return st.tuples(*pieces).map(_joined)


#: What may stand before the command.
_BEFORE: list[list[str]] = [
    *[[]] * 30,
    *(
        ["--root", root]
        for root in (
            "/run/words/other",
            "/run/words/r\udcff",
            "/run/words/" + "x" * 300,
            "/etc/passwd/x",
            "/proc/x",
            "",
            "x\ny",
        )
    ),
    *(["--root"], ["--nothing"], [""], ["\udcff"], ["--help"], ["x" * 60_000]),
]


def command_lines() -> st.SearchStrategy[list[str]]:
    """Words after ``netyard``. None makes machines, or serves until it is told to end."""
    left_out = {("demo",), ("agent",)}
    return st.one_of(
        [_line_of(path, command) for path, command in commands().items() if path not in left_out]
    )


#: Words that JSON has, and nearly has.
_JSON_PIECES = [
    *("[" * 100_000, '{"a":' * 50_000, "9" * 5000, "-" + "9" * 5000, "1e999", "NaN", "-Infinity"),
    *('"\\ud800"', '"\\u0000"', "\ufeff{}", "{", "}", "[", "]", ",", ":", "null", "true", '""'),
    *("1.5", "-0", "{}", "[]"),
]
_SETTINGS = [
    *("dns", "dns-opts", "dns-search", "dns-ttl", "bip", "fixed-cidr", "mtu", "icc", "ip"),
    *("ip-masq", "default-address-pools", "default-network-opts", "cluster"),
    *("bridge-accept-fwmark", "host-firewall", "host-gateway-ips", "ip-forward"),
    *("strict-binding", "userland-proxy", "allow-direct-routing", "proxies", "default"),
    *("httpProxy", "noProxy", "base", "size", "etcd", "advertise", "name", "lease", "bridge"),
    *("macvlan", "com.docker.network.driver.mtu", "host", "ca", "cert", "key", "unknown"),
]
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(
        [
            *(*_ADDRESSES[:12], *_NUMBERS[:14], *_WORDS[:40], "0x1/0x3", "http://[", "a\0b"),
            *("\ud800", "a\nb"),
        ]
    ),
    st.text(max_size=8),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(st.sampled_from(_SETTINGS), st.text(max_size=5)), inner, max_size=4
        ),
    ),
    max_leaves=10,
)
_POOLS = st.lists(
    st.fixed_dictionaries(
        {
            "base": st.sampled_from(_ADDRESSES[8:12]),
            "size": st.one_of(st.integers(0, 130), _SCALARS),
        }
    ),
    max_size=4,
)


def json_files() -> st.SearchStrategy[bytes]:
    """What may stand in a file of settings: JSON of settings, and what is none."""
    of_settings = st.dictionaries(
        st.sampled_from(_SETTINGS), st.one_of(_VALUES, _POOLS), max_size=6
    )
    nested = of_settings.map(lambda found: {"proxies": {"default": found}, **found})
    written = st.one_of(of_settings, nested, _VALUES).map(json.dumps).map(str.encode)
    pieces = st.lists(st.sampled_from(_JSON_PIECES), max_size=6).map(
        lambda found: "".join(found).encode("utf-8", "surrogatepass")
    )
    return st.one_of(written, written, pieces, st.binary(max_size=60), _damaged(written))


def line_files() -> st.SearchStrategy[bytes]:
    """What may stand in files of lines: variables, and users and groups."""
    piece = st.sampled_from(
        [
            *("A=1", "B", "=", "#", " ", "\n", "\r\n", "\0", ":", "root", "web", "0", "x"),
            *("9" * 5000, "-1", "٣", "4294967295", "A=\u2028B=2", "web:x:1:2:", "web:x:y:z"),
            *("web:x:1", "wheel:x:10:web,root\n", "é", "A=" + "x" * 100_000, "\ufeff", "\x85"),
            "A\x0b=1",
        ]
    )
    lines = st.lists(piece, max_size=12).map(lambda words: "".join(words).encode())
    return st.one_of(lines, lines, st.binary(max_size=60), _damaged(lines))


def _damaged(files: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Files with some bytes lost, or others in their place."""
    return st.tuples(files, st.integers(0, 200), st.binary(max_size=3)).map(
        lambda found: found[0][: found[1]] + found[2] + found[0][found[1] + 1 :]
    )
