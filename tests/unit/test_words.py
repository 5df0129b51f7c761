"""Whatever is typed, or stands in the host's files: a value, or one sentence that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netyard import errors
from netyard.lifecycle import validate
from netyard.options import common as common_options
from netyard.options import endpoint as endpoint_options
from netyard.options import parent as parent_options
from netyard.resolver import files
from netyard.runtime import process, users
from netyard.values import filters, parse, ports

# Any text, and text of the letters that mean something, which goes deeper.
TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="0123456789:-/[].,=%", max_size=40),
    st.lists(
        st.sampled_from(
            "8080 80 65535 65536 0 - : / tcp udp sctp [::1] 127.0.0.1 fd00:: , = name alias ip ip6 "
            "mac-address driver-opt gw-priority link-local-ip net.ipv4.conf.all.x 1 -1 \n \t é".split(
                " "
            )
        ),
        max_size=12,
    ).map("".join),
    # More digits than Python makes a number of, and what stands between them.
    st.lists(st.sampled_from(["9" * 5000, "80", ":", "-", "/", "=", "exited"]), max_size=5).map(
        "".join
    ),
)
PARSERS: dict[str, Callable[[str], object]] = {
    "publish": ports.parse_publish,
    "expose": ports.parse_expose,
    "port": ports.parse_query,
    "network": validate.parse_network_flag,
    "sysctl": validate.parse_sysctl,
    "priority": partial(validate.parse_priority, "--flag"),
    "link": partial(endpoint_options.parse_link, "--link"),
    "link-local": endpoint_options.parse_link_local,
    "interface sysctls": partial(endpoint_options.parse_interface_sysctls, ifname="eth0"),
    "moment": partial(filters.parse_moment, "--since"),
    "user": partial(users.parse_user, rootfs=""),
    "number": partial(common_options.number, 68, 65535, "--opt"),
    "VLAN": parent_options.parse_vlan,
    "signal": partial(process.signal_number, "--signal"),
    "ifname": partial(common_options.parse_ifname, "--opt"),
    "address": partial(parse.parse_address, "--ip"),
    "subnet": partial(parse.parse_subnet, "--subnet"),
    "extra host": partial(parse.parse_extra_host, "--add-host"),
}


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_no_word_is_more_than_invalid(name: str, text: str) -> None:
    """SH27: no other error, and never two lines."""
    try:
        PARSERS[name](text)
    except errors.NetyardError as error:
        assert "\n" not in str(error)


@settings(max_examples=500, deadline=None)
@given(
    text=st.one_of(
        st.text(),
        st.lists(
            st.sampled_from(
                [
                    "nameserver",
                    "search",
                    "options",
                    "domain",
                    " ",
                    "\t",
                    "\n",
                    "#",
                    ";",
                    "127.0.0.53",
                    "::1%lo",
                    "fe80::1%eth0",
                    "ndots:",
                    "ndots:x",
                    "ndots:99",
                    ".",
                    "a.b",
                    "\x00",
                    "é",
                ]
            )
        ).map("".join),
    )
)
def test_any_resolv_conf(text: str) -> None:
    """Somebody else's file is read as far as it can be, and what is written from it is plain."""
    found = files.ResolvConf.parse(text)
    files.upstreams_of(found.servers)
