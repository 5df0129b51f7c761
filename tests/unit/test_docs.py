"""What the documents say is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_tests_named_in_the_compatibility_table_exist() -> None:
    """A row without its test would be an open row."""
    table = (ROOT / "docs/docker-compatibility.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    functions = re.findall(r"def (test_\w+)", sources)
    for name in re.findall(r"\btest_\w+(?!\w*\.py)", table):
        directories = (ROOT / "tests" / each for each in ("unit", "lab_hosts", "vm"))
        if name == "test_" or any((each / f"{name}.py").exists() for each in directories):
            continue
        assert any(function.startswith(name) for function in functions), name


def test_every_row_has_something_to_show() -> None:
    """Three columns, and a test in the last."""
    table = (ROOT / "docs/docker-compatibility.md").read_text()
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not re.match(r"[A-Z]{2}\d", cells[0]):
            continue
        assert len(cells) == 3, line
        assert "`" in cells[2], line
