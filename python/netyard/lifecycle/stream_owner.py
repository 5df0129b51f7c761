"""Whose the streams of a process are, where the ids of its container are not the host's.

Apart from `netyard.lifecycle.user_ranges`, which few commands need.
"""

from __future__ import annotations

from netyard.state.records import ContainerRecord


def owner_of_streams(record: ContainerRecord, user: str) -> tuple[int, int] | None:
    """User and group by the host's ids; ``None`` if the container has the same ids.

    Args:
        record: The container.
        user: Who the process is to run as, ``UID:GID[,GROUP...]`` of the container's ids.

    Raises:
        Invalid: if the container has no such user.
    """
    if not record.ids_json:
        return None
    from netyard.lifecycle.user_ranges import check_user, host_user
    from netyard.values.user_ids import IdMap

    ids = IdMap.from_json(record.ids_json)
    check_user(user, ids)
    return host_user(user, ids)
