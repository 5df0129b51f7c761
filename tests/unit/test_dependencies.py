"""What netyard is built from: fixed versions, of one registry each, under licences it may use.

What `cargo deny` and `pip-audit` look up in data bases of known faults needs those; the rest of what
they check is here.
"""

from __future__ import annotations

import json
import re
import subprocess
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
PERMISSIVE = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}
# What is imported where netyard runs, and says so in words of its own.
RUNTIME = ("click", "etcd3gw")
SAID_OTHERWISE = {"Apache Software License": "Apache-2.0", "MIT License": "MIT"}


def is_permissive(expression: str) -> bool:
    """Whether an SPDX expression leaves a way to use it (`/` is an old spelling of ``OR``)."""
    groups = expression.replace("/", " OR ").replace("(", "").replace(")", "").split(" AND ")
    return all(
        any(word.strip() in PERMISSIVE for word in re.split(r"\bOR\b", group)) for group in groups
    )


def test_licences_of_crates() -> None:
    """Each can be had under a permissive one, and comes from the registry with a checksum."""
    command = "cargo metadata --locked --offline --format-version 1"
    found = subprocess.run(command.split(), cwd=ROOT, check=True, capture_output=True, text=True)
    packages = json.loads(found.stdout)["packages"]
    others = [each for each in packages if each["source"] is not None]
    assert len(others) > 50
    assert {each["source"].partition("+")[0] for each in others} == {"registry"}
    refused = [each["name"] for each in others if not is_permissive(each["license"] or "none")]
    assert not refused


def test_crates_are_what_they_were() -> None:
    """In both lock files each crate of others has a checksum; cargo refuses another."""
    for lock in (ROOT / "Cargo.lock", ROOT / "rust" / "fuzz" / "Cargo.lock"):
        for package in lock.read_text().split("[[package]]")[1:]:
            assert ("source = " in package) == ("checksum = " in package), package


def test_versions_of_python_packages() -> None:
    """Tests run with those that are noted, and with no others."""
    lines = (ROOT / "tests" / "constraints.txt").read_text().split()
    noted = dict(line.lower().replace("_", "-").split("==") for line in lines)
    wanted = [name for group in _groups() for name in group]
    assert len(wanted) > 8
    for name in wanted:
        assert metadata.version(name) == noted[name.lower()], f"{name}: make venv, or make pins"


def test_licences_of_python_packages() -> None:
    """Those netyard imports, and what these need."""
    for name in RUNTIME:
        found = metadata.metadata(name)
        named = found.get("License-Expression") or found.get("License") or ""
        spoken = [line.rpartition(" :: ")[2] for line in found.get_all("Classifier") or ()]
        words = [named, *(SAID_OTHERWISE.get(each, "") for each in spoken)]
        assert any(is_permissive(word) for word in words), (name, words)


def _groups() -> list[list[str]]:
    """The names in the groups of dependencies that the build, tests and docs need."""
    text = (ROOT / "pyproject.toml").read_text()
    found = re.findall(r"^(?:build|dev|docs) = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 3
    return [re.findall(r'"([\w-]+)>=', body) for body in found]
