"""Records by the rows they were made from."""

from __future__ import annotations

from netyard.state.rows import RowCache


def test_as_many_as_there_are_and_no_more() -> None:
    """Going through all rows again makes none anew; those of the past are not kept for ever."""
    made: list[int] = []

    def make(row: int) -> str:
        made.append(row)
        return f"record {row}"

    memory = RowCache(make, lambda: 1000)
    for _ in range(2):
        assert [memory(row) for row in range(1000)][7] == "record 7"
    assert len(made) == 1000
    for row in range(100_000):
        memory(row)
    assert len(memory._known) <= 2000


def test_few_rows_need_no_counting() -> None:
    """How many there are is only asked when it matters."""
    memory = RowCache(lambda row: row, lambda: 1 // 0)
    assert [memory(row) for row in range(200)] == list(range(200))
