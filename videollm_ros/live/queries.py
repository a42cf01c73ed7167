# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queries of users that wait for their time in the stream."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from videollm_ros.live.template import DialogueTemplate, Turn


@dataclass(frozen=True)
class Query:
    """A query, and the stream time from which on it may be answered."""

    text: str
    """The query on one line."""
    stamp: float
    """In seconds."""
    query_id: str = ""
    """The asker's own name for it."""
    request: Any = field(default=None, repr=False, compare=False)
    """An object that travels to the events of the answer."""
    _ids: dict[Turn, list[int]] = field(default_factory=dict, repr=False, compare=False)

    def ids_after(self, turn: Turn, template: DialogueTemplate) -> list[int]:
        """Return the ids of the query after a turn, with the opening of its answer. They are made once per turn."""
        if turn not in self._ids:
            self._ids[turn] = template.before_answer(turn, self.text)
        return self._ids[turn]


class QueryQueue:
    """Holds waiting queries, the earliest stamp first. Queries of the same stamp keep the order in which they came."""

    def __init__(self) -> None:
        """Create an empty queue."""
        self._waiting: list[Query] = []

    def __len__(self) -> int:
        """Return how many queries wait."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[Query]:
        """Iterate over the waiting queries in order."""
        return iter(self._waiting)

    def put(self, query: Query) -> None:
        """Add a query behind those of the same or an earlier stamp."""
        bisect.insort(self._waiting, query, key=lambda other: other.stamp)

    def pop(self) -> Query:
        """Remove and return the query with the earliest stamp."""
        return self._waiting.pop(0)

    def withdraw(self, query_id: str) -> bool:
        """Remove the queries with this id. Returns whether there was one."""
        kept = [query for query in self._waiting if query.query_id != query_id]
        withdrawn = len(kept) < len(self._waiting)
        self._waiting = kept
        return withdrawn

    def clear(self) -> list[Query]:
        """Remove and return all queries."""
        waiting, self._waiting = self._waiting, []
        return waiting

    @property
    def next_stamp(self) -> float:
        """Return when the next query is due, in seconds, or infinity if none waits."""
        return self._waiting[0].stamp if self._waiting else math.inf

    def frames_due(self, stamps: Sequence[float]) -> list[bool]:
        """Return for each of T frame stamps, in order, whether a query is answered before it or right after it."""
        due = {bisect.bisect_left(stamps, query.stamp) for query in self._waiting}
        return [index in due for index in range(len(stamps))]
