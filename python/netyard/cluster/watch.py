"""Following a part of the shared state: a snapshot, then every change, for as long as it is wanted.

A lost connection is taken up where it was lost. If the history from there on is gone (compaction)
there is a new snapshot, and whoever follows finds out himself what has changed.
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
    """Who is told; called from the watch's thread only."""

    def replace(self, entries: Iterable[Entry]) -> None:
        """This is all there is."""

    def change(self, batch: Batch) -> None:
        """This has changed."""

    def resume(self) -> None:
        """The connection was lost, and is there again: time to look at what was done meanwhile."""


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
        """Wait until the first snapshot has been handed over; whether it was."""
        return self._has_begun.wait(seconds)

    def stop(self) -> None:
        """Hand nothing over any more; the thread ends when its connection does."""
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
                # Whatever it was, what there is now counts.
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
