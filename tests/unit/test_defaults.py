"""Values that many have in common: no caller can change what the next one gets."""

from __future__ import annotations

import copy
import json
import pickle
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import netyard
from netyard import NetworkRequest
from netyard.state.records import NetworkRecord
from netyard.state.store import Store
from netyard.values.spec import NOTHING, ContainerSpec, JoinRequest, NetworkSpec, ReadOnly


def defaults() -> Iterator[tuple[str, object]]:
    """Of every function, method and named tuple of the package."""
    for module in pkgutil.walk_packages(netyard.__path__, "netyard."):
        if module.name.endswith("__main__"):
            continue
        for name, found in vars(import_module(module.name)).items():
            members = {name: found}
            if isinstance(found, type) and found.__module__ == module.name:
                members = {f"{name}.{each}": value for each, value in vars(found).items()}
                for each, default in getattr(found, "_field_defaults", {}).items():
                    yield f"{module.name}.{name}.{each}", default
            for each, value in members.items():
                function = getattr(value, "__func__", value)
                if isinstance(function, FunctionType):
                    given = (function.__kwdefaults__ or {}).values()
                    for default in (*(function.__defaults__ or ()), *given):
                        yield f"{module.name}.{each}", default


def test_no_default_can_be_changed() -> None:
    """A mapping or list that is a default is the same one in every call."""
    found = list(defaults())
    assert len(found) > 500
    assert any(default is NOTHING for _, default in found)
    kinds = (dict, list, set, bytearray)
    assert [
        (name, default)
        for name, default in found
        if isinstance(default, kinds) and not isinstance(default, ReadOnly)
    ] == []


CHANGES = {
    "item": lambda mapping: mapping.__setitem__("a", "b"),
    "delete": lambda mapping: mapping.__delitem__("a"),
    "update": lambda mapping: mapping.update(a="b"),
    "or": lambda mapping: mapping.__ior__({"a": "b"}),
    "setdefault": lambda mapping: mapping.setdefault("a", "b"),
    "pop": lambda mapping: mapping.pop("a", None),
    "popitem": lambda mapping: mapping.popitem(),
    "clear": lambda mapping: mapping.clear(),
}


@pytest.mark.parametrize("way", CHANGES)
def test_read_only_is_read_only(way: str) -> None:
    """In every way that a dictionary can be changed; else it is one."""
    mapping = ReadOnly({"a": "1"})
    with pytest.raises(TypeError, match="read-only"):
        CHANGES[way](mapping)
    assert mapping == {"a": "1"} and json.dumps(mapping) == '{"a": "1"}'
    for again in (copy.copy(mapping), copy.deepcopy(mapping), pickle.loads(pickle.dumps(mapping))):
        assert again == mapping and type(again) is ReadOnly


def test_values_are_not_shared_by_their_mappings(tmp_path: Path) -> None:
    """Of what is asked for, and of what the store remembers of it."""
    spec = ContainerSpec.from_json(ContainerSpec(labels={"a": "b"}).to_json())
    store = Store(tmp_path / "db", create=True)
    store.add_network(NetworkRecord("id", "net", "bridge", "", options={"a": "b"}))
    record = store.networks()[0]
    shared: list[Any] = [
        *(JoinRequest("net").driver_opts, NetworkSpec("net").options, ContainerSpec().sysctls),
        *(spec.labels, record.options, record.labels),
    ]
    for mapping in shared:
        with pytest.raises(TypeError):
            mapping["x"] = "y"
    for value in (NetworkRequest("net"), JoinRequest("net"), NetworkSpec("net"), spec, record):
        assert pickle.loads(pickle.dumps(value)) == value == copy.deepcopy(value)
    store.close()
