# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Users' queries in stream time."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """A user's question and the stream time from which on it may be answered, in seconds."""

    text: str
    stamp: float
    query_id: str = ""


class QueryQueue:
    """Queries that wait, the earliest stamp first; queries of the same stamp in the order they came."""

    def __init__(self) -> None:
        self._waiting: list[Query] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, query: Query) -> None:
        bisect.insort(self._waiting, query, key=lambda other: other.stamp)

    def pop(self) -> Query:
        """The one with the earliest stamp."""
        return self._waiting.pop(0)

    def withdraw(self, query_id: str) -> bool:
        """Take back the queries of that id. Returns whether there was one."""
        kept = [query for query in self._waiting if query.query_id != query_id]
        withdrawn = len(kept) < len(self._waiting)
        self._waiting = kept
        return withdrawn

    def clear(self) -> list[Query]:
        """Take all back."""
        waiting, self._waiting = self._waiting, []
        return waiting

    @property
    def stamps(self) -> list[float]:
        return [query.stamp for query in self._waiting]

    @property
    def next_stamp(self) -> float:
        """When the next query is due, in seconds; infinity when none waits."""
        return self._waiting[0].stamp if self._waiting else math.inf
