"""A container's network namespace, opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from netyard.state.records import ContainerRecord
from netyard.state.root import Root


@contextmanager
def opened_namespace(root: Root, container: ContainerRecord) -> Iterator[int]:
    """An open descriptor of a container's network namespace."""
    owner = container.donor_id or container.id
    fd = os.open(f"{root.layout.namespaces}/{owner}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
