"""Go templates and filters, as typed."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netyard import errors
from netyard.cli.template import compile_template
from netyard.lifecycle import validate
from netyard.options import bridge as bridge_options
from netyard.options import endpoint as endpoint_options
from netyard.state import config
from netyard.values import filters

VALUE = {
    "Name": "net",
    "Internal": False,
    "Labels": {"a.b": "1", "c": "2"},
    "Config": [{"Subnet": "10.0.0.0/24"}, {"Subnet": "fd00::/64"}],
    "Networks": {"my-net": {"IPAddress": "10.0.0.2"}},
    "Nothing": None,
    "Label": lambda key: {"c": "2"}.get(key, ""),
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{.Name}}:{{ .Internal }}", "net:false"),
        ("{{json .Labels}}", '{"a.b": "1", "c": "2"}'),
        ('{{index .Labels "a.b"}}{{.Label "c"}}', "12"),
        ("{{range .Config}}{{.Subnet}} {{end}}", "10.0.0.0/24 fd00::/64 "),
        ("{{range $i, $c := .Config}}{{$i}}={{$c.Subnet}},{{end}}", "0=10.0.0.0/24,1=fd00::/64,"),
        ("{{range $k, $v := .Labels}}{{$k}}{{end}}", "a.bc"),
        ('{{(index .Networks "my-net").IPAddress}}', "10.0.0.2"),
        ("{{if .Internal}}in{{else}}out{{end}}", "out"),
        ("{{len .Config}} {{.Name | upper}}", "2 NET"),
        ("{{.Labels.missing}}", "<no value>"),
        ("{{.Labels}}", "map[a.b:1 c:2]"),
        ('{{if eq .Name "net"}}yes{{end}}', "yes"),
        ("{{.Nothing}}", "<no value>"),
    ],
)
def test_templates(template: str, text: str) -> None:
    """NL3, NI2."""
    assert compile_template(template)(VALUE) == text


@pytest.mark.parametrize(
    "template",
    [
        *("{{.Name", "{{end}}", "{{range .Config}}", "{{with .Name}}x{{end}}", "{{.Colour}}"),
        *("{{printf 1}}", "{{}}", "{{(.Name}}", "{{index .Config 9}}", '{{.Name "x"}}', "{{$x}}"),
    ],
)
def test_bad_templates(template: str) -> None:
    """NL3: refused, never printed raw."""
    with pytest.raises(errors.Invalid):
        compile_template(template)(VALUE)


@given(st.text())
def test_no_text_is_more_than_invalid(text: str) -> None:
    """Whatever is typed, the answer is a value or one typed error."""
    for parse in (
        lambda: compile_template(text)(VALUE),
        lambda: validate.parse_network_flag(f"name=x,{text}"),
        lambda: validate.parse_sysctl(text),
        lambda: endpoint_options.parse_link("--link", text),
        lambda: endpoint_options.parse_link_local(text),
        lambda: filters.parse_moment("--since", text),
        lambda: config.parse({text: text}),
        lambda: bridge_options.normalise({text: text, "name": text, "trusted": text}),
    ):
        try:
            parse()
        except errors.NetyardError as error:
            assert str(error)


def test_moments() -> None:
    """NP2: the forms of ``until``."""
    assert filters.parse_moment("f", "1.5") == 1_500_000_000
    assert filters.parse_moment("f", "2026-01-02T03:04:05.123456789Z") // 1000 == (1767323045123456)
    assert abs(time.time_ns() - 5_400_000_000_000 - filters.parse_moment("f", "1h30m")) < 1e9
    assert filters.parse_moment("f", "2026-01-02") > 0


def test_moments_of_python_callers() -> None:
    """Numbers and `datetime`, exact; what is no time is refused by name."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 123456, timezone.utc)
    assert filters.parse_moment("f", moment) == 1767323045123456000
    assert filters.parse_moment("f", moment.astimezone(timezone(timedelta(hours=2)))) == (
        1767323045123456000
    )
    assert filters.parse_moment("f", 1767323045) == 1767323045000000000
    assert filters.parse_moment("f", 1.5) == 1_500_000_000
    # A few digits of a second are more than Python 3.10 reads, nanoseconds more than it keeps.
    assert filters.parse_moment("f", "2026-01-02T03:04:05.5Z") == 1767323045500000000
    assert filters.parse_moment("f", "2026-01-02T05:04:05.123456789+02:00") == 1767323045123456789
    local = datetime(2026, 1, 2, 3, 4, 5)
    assert filters.parse_moment("f", local) == int(local.timestamp()) * 10**9
    for wrong in (
        True,
        -1,
        float("nan"),
        float("inf"),
        10**400,
        None,
        b"10m",
        "1.2.3s",
        "9" * 5000,
    ):
        with pytest.raises(errors.Invalid, match=r"^since: .* is no time such as "):
            filters.parse_moment("since", wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["reload", "repair", "doctor", "demo"])
def test_formats_that_are_none_are_refused(command: str) -> None:
    """Of commands that take no template: nothing is done, and what would be right is said."""
    words = [sys.executable, "-m", "netyard", command, "--format", "{{.Restored}}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'{{.Restored}}' is not one of 'table', 'json'" in done.stderr
