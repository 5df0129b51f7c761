"""Filters of system calls: netyard's own list for each capability, and Docker's profiles as rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

import netyard._core as core
from netyard.errors import Invalid
from netyard.runtime import seccomp, seccomp_profile
from netyard.runtime.capabilities import capability_mask


def _rules(*add: str, drop: tuple[str, ...] = ()) -> list[str]:
    mask = capability_mask(add, drop)
    return seccomp.rules("", privileged=False, capabilities=mask).splitlines()


def _denied(*add: str, drop: tuple[str, ...] = ()) -> set[str]:
    lines = [line.split() for line in _rules(*add, drop=drop)]
    plain = [words for words in lines if words[0].startswith("errno") and len(words) == 2]
    return {name for _, names in plain for name in names.split(",")}


def _translated(profile: dict[str, Any], mask: int | None = None) -> list[str]:
    return seccomp_profile.translate(
        json.dumps(profile), privileged=False, capabilities=mask
    ).splitlines()


@pytest.mark.parametrize("add", ["", "ALL", "SYS_ADMIN", "BPF", "NET_ADMIN", "SYS_TIME"])
def test_each_list_compiles(add: str) -> None:
    """Every name in it is one of this machine's, or of another's."""
    lines = _rules(*([add] if add else []))
    assert core.complaint_about_filter("\n".join(lines)) is None
    assert core.complaint_about_filter("\n".join([*lines, "errno:1 no_such_call"])) is not None


def test_capabilities_open_their_calls_and_no_others() -> None:
    """What is never allowed stays so with all of them."""
    usual = _denied()
    assert {"mount", "unshare", "bpf", "keyctl", "reboot", "clone3", "syslog"} <= usual
    assert not {"read", "clone", "ptrace", "chroot", "mknod"} & usual
    assert usual - _denied("SYS_BOOT") == {"reboot"}
    assert usual - _denied("BPF") == {"bpf"}
    assert {"mount", "unshare", "bpf", "clone3"} <= usual - _denied("SYS_ADMIN")
    assert {"keyctl", "io_uring_setup", "kexec_load", "userfaultfd"} <= _denied("ALL")
    assert _denied(drop=("SYS_CHROOT",)) - usual == {"chroot"}


def test_who_has_no_filter() -> None:
    """Those who ask for none, and the privileged, unless they ask for one."""
    assert seccomp.rules("unconfined", privileged=False, capabilities=None) == ""
    assert seccomp.rules("", privileged=True, capabilities=None) == ""
    profile = '{"defaultAction": "SCMP_ACT_LOG"}'
    assert seccomp.rules(profile, privileged=True, capabilities=None).startswith("default log")


def test_profile_as_rules() -> None:
    """Actions, errors, conditions of arguments, of which two of one argument are alternatives."""
    found = _translated(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 13,
            "syscalls": [
                {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
                {
                    "names": ["clone"],
                    "action": "SCMP_ACT_ALLOW",
                    "args": [{"index": 0, "value": 4, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
                },
                {
                    "names": ["socket"],
                    "action": "SCMP_ACT_TRACE",
                    "errnoRet": 9,
                    "args": [
                        {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
                        {"index": 1, "value": 2, "op": "SCMP_CMP_GE"},
                    ],
                },
                {
                    "names": ["personality"],
                    "action": "SCMP_ACT_KILL_PROCESS",
                    "args": [
                        {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
                        {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"},
                    ],
                },
            ],
        }
    )
    assert found == [
        "default errno:13",
        "unknown errno:38",
        "allow read,write",
        "allow clone 0 & 4 == 0",
        "trace:9 socket 0 == 1; 1 >= 2",
        "kill personality 0 == 1",
        "kill personality 0 == 2",
    ]


def test_conditions_of_a_rule() -> None:
    """All that includes name, and none that excludes do."""

    def applies(**conditions: Any) -> bool:
        call = {"names": ["read"], "action": "SCMP_ACT_ERRNO", **conditions}
        return len(_translated({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [call]})) == 2

    assert applies(includes={"caps": ["CAP_CHOWN"]}) and not applies(includes={"caps": ["CAP_BPF"]})
    assert not applies(includes={"caps": ["CAP_CHOWN", "CAP_BPF"]})
    assert applies(excludes={"caps": ["CAP_BPF"]}) and not applies(excludes={"caps": ["CAP_CHOWN"]})
    assert not applies(excludes={"caps": ["CAP_CHOWN", "CAP_BPF"]})
    assert applies(includes={"minKernel": "4.8"}) and not applies(includes={"minKernel": "99.0"})
    assert applies(includes={"arches": ["amd64", "arm64"]})
    assert not applies(includes={"arches": ["s390x"]}) and applies(includes={}, excludes={})


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"defaultAction": "ALLOW"}, "'ALLOW'"),
        ({"defaultAction": ["SCMP_ACT_ALLOW"]}, "SCMP_ACT_ALLOW"),
        ({"defaultAction": None}, "None"),
        ({"flags": ["SECCOMP_FILTER_FLAG_LOG"]}, "FLAG_LOG"),
        ({"syscalls": {}, "color": 1}, "'color'"),
        ({"syscalls": "read"}, "'syscalls'"),
        ({"syscalls": ["read"]}, "JSON object"),
        ({"syscalls": [{"names": ["re ad"], "action": "SCMP_ACT_ALLOW"}]}, "'re ad'"),
        ({"syscalls": [{"names": [7], "action": "SCMP_ACT_ALLOW"}]}, "7"),
        ({"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": -1}]}, "-1"),
        ({"syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG", "args": [{}]}]}, "None"),
        (
            {"syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG", "includes": {"caps": ["X"]}}]},
            "'X'",
        ),
    ],
)
def test_what_is_no_profile(changes: dict[str, Any], word: str) -> None:
    """One sentence about what is wrong, and where."""
    profile = {"defaultAction": "SCMP_ACT_ALLOW", **changes}
    with pytest.raises(Invalid) as caught:
        seccomp_profile.check(json.dumps(profile), "p.json")
    assert "p.json" in str(caught.value) and word in str(caught.value)


@pytest.mark.parametrize("text", ["", "[" * 100_000, "null", "7", '{"a": NaN}', "\ud800"])
def test_what_is_no_json(text: str) -> None:
    """Refused, and by no other error."""
    with pytest.raises(Invalid):
        seccomp_profile.check(text, "p.json")
