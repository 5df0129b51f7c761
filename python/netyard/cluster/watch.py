"""Watches of a prefix in etcd: a snapshot, then every change, each with a thread of its own.

After a lost connection a watch resumes at its revision. If that has been compacted there is a new
snapshot, and the handler compares it with what it has. The requests are `netyard.cluster.etcd`;
what is done with entries is the agent's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Protocol

from netyard.cluster.etcd import Batch, Compacted, Entry, Etcd
from netyard.errors import ClusterError

_LOG = logging.getLogger("netyard.cluster")
_PAUSE_MIN, _PAUSE_MAX = 0.1, 2.0


class WatchHandler(Protocol):
    """What is done with entries; called from the watch's thread only."""

    def replace(self, entries: Iterable[Entry]) -> None:
        """A snapshot: these are all entries, and others are gone."""

    def change(self, batch: Batch) -> None:
        """These entries have changed."""

    def resume(self) -> None:
        """The connection is there again after a loss: check what was made of entries before.

        Changes of the meantime follow.
        """


class Watch:
    """A thread that follows one prefix of keys.

    Args:
        connect: Makes a connection for the thread's own use.
    """

    def __init__(self, connect: Callable[[], Etcd], prefix: str, reader: WatchHandler) -> None:
        self._connect = connect
        self._prefix = prefix
        self._reader = reader
        self._is_wanted = True
        self._has_begun = threading.Event()
        self._ended = threading.Event()
        self._revision = 0
        self._pause = _PAUSE_MIN
        self._thread = threading.Thread(target=self._run, name=f"follow {prefix}", daemon=True)
        self._thread.start()

    def wait_until_begun(self, seconds: float) -> bool:
        """Wait until the handler has had the first snapshot; whether it has in time."""
        return self._has_begun.wait(seconds)

    def stop(self) -> None:
        """Call the handler no more; the thread ends when its connection does."""
        self._is_wanted = False
        self._ended.set()

    def _run(self) -> None:
        while self._is_wanted:
            etcd = self._connect()
            try:
                if not self._revision:
                    self._take_snapshot(etcd)
                self._watch(etcd)
            except Compacted:
                _LOG.info("%s: the history is compacted, reading all of it again", self._prefix)
                self._revision = 0
                continue
            except ClusterError as error:
                if self._is_wanted:
                    _LOG.warning("following %s: %s", self._prefix, error)
            except Exception:
                # A handler that failed may have missed changes: it gets a snapshot.
                _LOG.exception("following %s", self._prefix)
                self._revision = 0
            finally:
                etcd.close()
            self._ended.wait(self._pause)
            self._pause = min(self._pause * 2, _PAUSE_MAX)

    def _take_snapshot(self, etcd: Etcd) -> None:
        pages = etcd.pages(self._prefix)
        first = next(pages)
        self._reader.replace(entry for page in chain([first], pages) for entry in page.entries)
        self._revision = first.revision
        self._has_begun.set()

    def _begin(self) -> None:
        if self._pause > _PAUSE_MIN:
            self._reader.resume()
        self._pause = _PAUSE_MIN

    def _watch(self, etcd: Etcd) -> None:
        for batch in etcd.watch(self._prefix, self._revision + 1, self._begin):
            if not self._is_wanted:
                return
            self._reader.change(batch)
            self._revision = batch.revision
