# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queries on their way to an answer, and the admission that bounds them. No torch, no ROS."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from videollm_ros.assistant.updates import UtteranceUpdate

MAX_OUTSTANDING = 8
"""Queries that are admitted and not answered yet. Each may hold one thread of whoever asks."""
MAX_CHARACTERS = 2000
"""Length of one query."""
MAX_ID_CHARACTERS = 200
"""Length of the name that the asker gives to a query."""


class QueryError(Exception):
    """Says in a sentence for the asker why a query has no answer."""


@dataclass(eq=False)
class PendingQuery:
    """One query, from its admission to its answer. The session carries it as its `request`."""

    text: str
    """The query as it was asked."""
    query_id: str
    """The asker's own name for it. It may be empty and need not be unique."""
    request_id: str
    """The unique name by which the session knows it."""
    on_partial: Callable[[UtteranceUpdate], None] | None = None
    """Follows the answer as it grows. Called from the inference thread."""
    stamp: float = 0.0
    """Stream time at which it was asked: the stamp of the newest image, in seconds. 0 before any image."""
    stream: int = 0
    """Number of the stream in which it was asked. 0 before any image."""
    interrupted: str = ""
    """Why its answer was cut off, as a sentence. Empty if it was not."""
    answer: Future[UtteranceUpdate] = field(default_factory=Future)
    """Resolves to the final update, or to a QueryError."""

    def resolve(self, update: UtteranceUpdate) -> None:
        """Answer the query, unless it has an outcome already."""
        if not self.answer.done():
            self.answer.set_result(update)

    def fail(self, sentence: str) -> None:
        """Answer the query with an error, unless it has an outcome already."""
        if not self.answer.done():
            self.answer.set_exception(QueryError(sentence))


class QueryAdmission:
    """Admits queries while few enough are outstanding, refuses the others with a sentence, and counts both."""

    def __init__(self, limit: int = MAX_OUTSTANDING) -> None:
        """Admit at most `limit` queries at a time."""
        self.limit = limit
        self.outstanding = self.answered = self.failed = self.refused = 0
        self._lock = threading.Lock()
        self._request_ids = itertools.count(1)

    def admit(
        self, text: str, query_id: str = "", on_partial: Callable[[UtteranceUpdate], None] | None = None
    ) -> PendingQuery:
        """Make a pending query of `text`.

        Raises:
            QueryError: The text is empty, the text or the id is too long, or too many queries are waiting.
        """
        with self._lock:
            if problem := self._problem(text, query_id):
                self.refused += 1
                raise QueryError(problem)
            self.outstanding += 1
            query = PendingQuery(text, query_id, str(next(self._request_ids)), on_partial)
        query.answer.add_done_callback(self._release)
        return query

    def _problem(self, text: str, query_id: str) -> str:
        if not text.strip():
            return "The query is empty: put the question into its text."
        if len(text) > MAX_CHARACTERS:
            return f"The query has {len(text)} characters, and at most {MAX_CHARACTERS} are accepted."
        if len(query_id) > MAX_ID_CHARACTERS:
            return f"The query_id has {len(query_id)} characters, and at most {MAX_ID_CHARACTERS} are accepted."
        if self.outstanding >= self.limit:
            return f"{self.outstanding} queries are waiting already: ask again once one is answered."
        return ""

    def _release(self, answer: Future[UtteranceUpdate]) -> None:
        with self._lock:
            self.outstanding -= 1
            if answer.exception() is None:
                self.answered += 1
            else:
                self.failed += 1
