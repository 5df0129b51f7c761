"""Docker's seccomp profiles, in JSON, as rules that the shim compiles.

What cannot be honoured is refused by name: a filter that does less than its profile says would be
worse than none.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import netyard._core as _core
from netyard.errors import Invalid
from netyard.runtime.capabilities import holds, is_name

_FIELD = "--security-opt"
_ERRNO, _TRACE = "SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"
_ACTIONS = {
    "SCMP_ACT_ALLOW": "allow",
    "SCMP_ACT_LOG": "log",
    "SCMP_ACT_TRAP": "trap",
    "SCMP_ACT_KILL": "kill-thread",
    "SCMP_ACT_KILL_THREAD": "kill-thread",
    "SCMP_ACT_KILL_PROCESS": "kill",
    _ERRNO: "errno",
    _TRACE: "trace",
}
_OPERATORS = {
    "SCMP_CMP_EQ": "==",
    "SCMP_CMP_NE": "!=",
    "SCMP_CMP_LT": "<",
    "SCMP_CMP_LE": "<=",
    "SCMP_CMP_GT": ">",
    "SCMP_CMP_GE": ">=",
    "SCMP_CMP_MASKED_EQ": "&",
}
_KEYS = {"defaultAction", "defaultErrnoRet", "architectures", "archMap", "syscalls", "flags"}
_CALL_KEYS = {"names", "name", "action", "errnoRet", "args", "comment", "includes", "excludes"}
_FILTER_KEYS = {"caps", "arches", "minKernel"}
_ARGUMENT_KEYS = {"index", "value", "valueTwo", "op"}
_MACHINES = {"x86_64": ("amd64", "SCMP_ARCH_X86_64"), "aarch64": ("arm64", "SCMP_ARCH_AARCH64")}
_EPERM = 1
_MOST = 2**64 - 1


def check(text: str, source: str) -> None:
    """Refuse what is no profile, or none that can be honoured.

    Args:
        text: The profile.
        source: Where it is from, for the complaint.
    """
    try:
        complaint = _core.complaint_about_filter(
            translate(text, privileged=False, capabilities=None)
        )
    except Invalid as error:
        complaint = str(error)
    if complaint is not None:
        raise Invalid(f"{_FIELD}: seccomp profile {source}: {complaint}", field=_FIELD)


def translate(text: str, *, privileged: bool, capabilities: int | None) -> str:
    """A profile as rules, for a container of these capabilities on this machine."""
    try:
        profile = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid("it is no JSON") from None
    _check_keys("the profile", profile, _KEYS)
    if profile.get("flags"):
        raise Invalid(f"flags {profile['flags']!r} cannot be honoured")
    _check_architectures(profile)
    default = _action(profile.get("defaultAction"), profile.get("defaultErrnoRet"))
    lines = [f"default {default}"]
    if default != "allow":
        # Libraries go on without what answers so, and not without what is forbidden.
        lines.append("unknown errno:38")
    held = (1 << 64) - 1 if privileged else capabilities
    for call in _list(profile, "syscalls"):
        lines += _rules(call, held)
    return "\n".join(lines)


def _check_architectures(profile: Mapping[str, Any]) -> None:
    native = _MACHINES.get(os.uname().machine, ("", ""))[1]
    named = [str(each) for each in _list(profile, "architectures")]
    for each in _list(profile, "archMap"):
        _check_keys("archMap", each, {"architecture", "subArchitectures"})
        named.append(str(each.get("architecture")))
    if named and native not in named:
        raise Invalid(f"it is for {', '.join(named)}, and this machine is {native}")


def _rules(call: Any, capabilities: int | None) -> Iterator[str]:
    _check_keys("syscalls", call, _CALL_KEYS)
    names = _list(call, "names") or [call.get("name")]
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"\w+", name, re.ASCII):
            raise Invalid(f"{name!r} is no name of a system call")
    action = _action(call.get("action"), call.get("errnoRet"))
    conditions = [_condition(each) for each in _list(call, "args")]
    if _holds(call.get("includes"), capabilities, all) and not _holds(
        call.get("excludes"), capabilities, any
    ):
        shown = ",".join(names)
        # Several conditions of one argument are alternatives, as with Docker.
        indexes = [index for index, _ in conditions]
        if len(set(indexes)) < len(indexes):
            yield from (f"{action} {shown} {text}" for _, text in conditions)
        else:
            yield f"{action} {shown} {'; '.join(text for _, text in conditions)}".rstrip()


def _holds(given: Any, capabilities: int | None, several: Any) -> bool:
    """Whether conditions on the container and the machine hold: all of them, or any."""
    if not given:
        return several is all
    _check_keys("includes and excludes", given, _FILTER_KEYS)
    met = []
    caps = [str(each).upper().removeprefix("CAP_") for each in _list(given, "caps")]
    for cap in caps:
        if not is_name(cap):
            raise Invalid(f"{cap!r} is no capability")
    met += [holds(capabilities, cap) for cap in caps]
    if arches := _list(given, "arches"):
        met.append(_MACHINES.get(os.uname().machine, ("", ""))[0] in arches)
    if kernel := given.get("minKernel"):
        met.append(_version(os.uname().release) >= _version(kernel))
    return bool(several(met))


def _version(text: Any) -> tuple[int, int]:
    found = re.match(r"(\d{1,9})\.(\d{1,9})", str(text), re.ASCII)
    if found is None:
        raise Invalid(f"{text!r} is no version of a kernel")
    return int(found[1]), int(found[2])


def _action(name: Any, errno: Any) -> str:
    word = _ACTIONS.get(name) if isinstance(name, str) else None
    if word is None:
        raise Invalid(f"action {name!r} cannot be honoured")
    if name not in (_ERRNO, _TRACE):
        return word
    return f"{word}:{_number('errnoRet', _EPERM if errno is None else errno, 4095)}"


def _condition(given: Any) -> tuple[int, str]:
    _check_keys("args", given, _ARGUMENT_KEYS)
    operator = _OPERATORS.get(str(given.get("op")))
    if operator is None:
        raise Invalid(f"operator {given.get('op')!r} is none")
    index = _number("index", given.get("index"), 5)
    value = _number("value", given.get("value"), _MOST)
    if operator == "&":
        return index, f"{index} & {value} == {_number('valueTwo', given.get('valueTwo', 0), _MOST)}"
    return index, f"{index} {operator} {value}"


def _number(name: str, given: Any, most: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= most:
        raise Invalid(f"{name} {given!r} is no number from 0 to {most}")
    return given


def _check_keys(what: str, given: Any, known: set[str]) -> None:
    if not isinstance(given, dict):
        raise Invalid(f"{what} must be a JSON object")
    for key in given:
        if key not in known:
            raise Invalid(f"{key!r} of {what} cannot be honoured")


def _list(given: Mapping[str, Any], key: str) -> Sequence[Any]:
    found = given.get(key) or []
    if not isinstance(found, list):
        raise Invalid(f"{key!r} must be a list")
    return found
