"""What a transaction of nf_tables is made of, as `netyard._core` takes it."""

from __future__ import annotations

from typing import Any

Step = tuple[Any, ...]
Statement = tuple[Any, ...]
