"""Command lines of any words, on a lab host of their own: row D of what was seen.

The host has a network, a container that runs and one that does not, for names that are right. A share
of the command lines here; `make test-all` has 20,000.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import lab as labs
import words

Ask = Callable[[list[str] | None], dict[str, Any]]
# Of these only netyard's own failures have a status that is known.
_HAND_ON = {"run", "exec", "start", "attach", "wait"}
_WORKER = Path(__file__).parents[1] / "words_worker.py"


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """What runs a command line; at the end nothing may be left of all of them."""
    if os.geteuid() != 0:
        pytest.fail("lab tests need root: they make namespaces")
    machine = labs.Machine("words")
    # Whatever is asked for, no file of this machine can be written.
    machine.run("sh", "-ec", "mkdir /run/words; mount -o remount,bind,ro /")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": None}
    path = os.pathsep.join([*sys.path, str(_WORKER.parent)])
    command = ("env", f"PYTHONPATH={path}", sys.executable, str(_WORKER))
    worker = machine.popen(*command, **pipes)

    def ask(line: list[str] | None) -> dict[str, Any]:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps(line).encode() + b"\n")
        worker.stdin.flush()
        found: dict[str, Any] = json.loads(worker.stdout.readline())
        return found

    yield ask
    try:
        assert ask(None) == {"left": []}
    finally:
        machine.close()


@pytest.mark.timeout(7200)
@settings(
    max_examples=words.EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(line=words.command_lines())
def test_any_command_line(ask: Ask, line: list[str]) -> None:
    """SH27: it does what was asked for, or says in a sentence why not, and leaves nothing then."""
    done = ask(line)
    again = ask(line) if done["cpu"] >= words.MOST_SECONDS else done
    assert "Traceback" not in done["stderr"], done["stderr"]
    # A busy machine may have been in the way, once.
    assert min(done["cpu"], again["cpu"]) < words.MOST_SECONDS, done
    # What waits for something ends when it is told to.
    assert done["interrupted"] < 2, done
    if done["interrupted"] or done["status"] == 0:
        return
    hands_on = bool(_HAND_ON & set(line))
    assert hands_on or done["status"] in (1, 2), done
    assert done["status"] > 0, done
    if not hands_on or done["status"] in (2, 125):
        assert done["stderr"].strip(), done
        assert done["left"] == []


@pytest.mark.parametrize("command", [["run"], ["run", "--rm"], ["exec", "box"]])
def test_words_of_containers_are_theirs(ask: Ask, command: list[str]) -> None:
    """``--debug`` behind a container's command, or as a value, is not for netyard."""
    before, rest = command[:1], command[1:]
    done = ask([*before, "-w", "/no/where", *rest, "true", "--debug"])
    assert done["status"] in (125, 126, 127), done
    assert done["stderr"].startswith("netyard: ")
    assert done["stderr"].count("\n") == 1
    own = ask(["--debug", *before, "-u", "ghost", *rest, "true"])
    assert "Traceback" in own["stderr"]
    assert own["stderr"].strip().endswith("there is no user 'ghost' in the container")


@pytest.mark.parametrize(
    ("line", "status", "sentence"),
    [
        (["ps", "--format", '{{"\\x"}}'], 1, "is no escape"),
        (["network", "ls", "--format", "{{.Name | }}"], 1, "nothing follows a pipe"),
        (["network", "inspect", "net", "-f", "{{range .Name}}{{end}}"], 1, "range goes over lists"),
        (["inspect", "box", "-f", "{{.|json" + "|json" * 40 + "}}"], 1, "makes more text"),
        (["events", "--format", "{{" * 50_000], 1, "an action is not closed"),
        (["inspect", "\udcff"], 1, "'\\udcff'"),
        (["network", "create", "a\udcff"], 1, "must be text"),
        (["create", "-l", "a=\udcff", "true"], 1, "labels: a: "),
        (["ps", "-f", "name=(" + "(" * 5000], 1, "is no regular expression"),
        (["ps", "-f", "until=1h"], 1, "must be KEY=VALUE"),
        (["network", "prune", "-f", "--filter", "until=" + "9" * 60_000], 1, "is no time"),
        (["events", "--until", "9" * 60_000], 1, "is no time"),
        (["logs", "box", "--tail", "9" * 5000], 1, "must be a number of lines, or all"),
        (["config", "set", "dns-opts", "\udcff"], 1, "is no resolver option"),
        (["config", "set", "dns-opts", '["\\ud800"]'], 1, "half of a surrogate pair"),
        (["config", "set", "cluster", '{"etcd": "http://["}'], 1, "is no address of an etcd"),
        (["config", "set", "cluster", '{"ca": "\udcff"}'], 1, "half of a surrogate pair"),
        (["config", "set", "dns-ttl", "9" * 5000], 1, "a number of seconds from 0 to 600"),
        (["config", "set", "dns-ttl", "true"], 1, "a number of seconds from 0 to 600"),
        (
            ["host", "join", "--etcd", "http://[", "--advertise", "::1"],
            1,
            "is no address of an etcd",
        ),
        (["--root", "/run/words/" + "x" * 300, "ps"], 1, "File name too long"),
    ],
    ids=lambda given: (
        " ".join(given)[:32].encode("ascii", "backslashreplace").decode()
        if isinstance(given, list)
        else None
    ),
)
def test_each_kind_by_name(ask: Ask, line: list[str], status: int, sentence: str) -> None:
    """One clear sentence, and every command goes on as before."""
    done = ask(line)
    assert done["status"] == status, done
    assert sentence in done["stderr"], done["stderr"]
    assert "Traceback" not in done["stderr"]
    assert done["left"] == []
    assert ask(["run", "--rm", "true"])["status"] == 0


def test_right_filters_and_templates(ask: Ask) -> None:
    """NL2, NL3: what people write goes on to work."""
    named = ask(["network", "ls", "-q", "--filter", "name=^n.t$"])["stdout"]
    assert len(named.split()) == 1
    row = json.loads(ask(["ps", "--format", "{{json .}}"])["stdout"])
    assert row["Names"] == "box"
    assert ask(["stop", "-t", "1e20", "box"])["status"] == 0


@pytest.mark.parametrize(
    "line",
    ["ps -a --no-trunc", "inspect old", "ps -a --format {{.Command}}", "inspect -f json old"],
)
def test_words_that_are_no_text_are_shown(ask: Ask, line: str) -> None:
    """A container's command may be of any bytes: they are shown, in JSON by an escape that it has."""
    done = ask(line.split())
    assert done["status"] == 0, done
    assert "\\udcff" in done["stdout"]
    if line.startswith("inspect"):
        found = json.loads(done["stdout"])
        described = found[0] if isinstance(found, list) else found
        assert described["Args"] == ["\udcff"]
