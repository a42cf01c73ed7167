# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queries from the topic, the service and the action: one kind of object, one bounded queue."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from videollm_ros.assistant.speech import Speech

MAX_OUTSTANDING = 8  # queries accepted and not yet answered; each may hold one executor thread
MAX_CHARACTERS = 2000  # of one query


class QueryError(Exception):
    """Why a query has no answer, as a sentence for whoever asked."""


@dataclass(eq=False)
class Query:
    """One question on its way. `answer` resolves to the final Speech, or to a QueryError."""

    text: str
    query_id: str  # the asker's own name for it; may be empty, need not be unique
    stamp: float = 0.0  # stream time at which it was asked: stamp of the newest image, seconds; 0 before any
    stream: int = 0  # number of the stream in which it was asked; 0 before any image
    on_partial: Callable[[Speech], None] | None = None  # follows the answer as it grows
    key: str = ""  # unique; what the session knows it by
    stopped: bool = False  # the asker wants no more of the answer
    answer: Future[Speech] = field(default_factory=Future)

    def resolve(self, speech: Speech) -> None:
        """Answer, unless it has been answered already."""
        if not self.answer.done():
            self.answer.set_result(speech)

    def fail(self, sentence: str) -> None:
        """Answer with an error, unless it has been answered already."""
        if not self.answer.done():
            self.answer.set_exception(QueryError(sentence))


class QueryDesk:
    """Accepts queries while there are few enough, and refuses with a sentence otherwise."""

    def __init__(self, limit: int = MAX_OUTSTANDING):
        self.limit = limit
        self.refused = 0
        self.outstanding = 0  # accepted and not answered yet
        self._lock = threading.Lock()
        self._keys = itertools.count(1)

    def accept(
        self,
        text: str,
        query_id: str = "",
        on_partial: Callable[[Speech], None] | None = None,
    ) -> Query:
        """Make a query of `text`.

        Raises:
            QueryError: the text is empty or too long, or too many queries are waiting already.
        """
        if not text.strip():
            self.refused += 1
            raise QueryError("The query is empty: put the question into its text.")
        if len(text) > MAX_CHARACTERS:
            self.refused += 1
            raise QueryError(f"The query has {len(text)} characters, and at most {MAX_CHARACTERS} are accepted.")
        with self._lock:
            if self.outstanding >= self.limit:
                self.refused += 1
                raise QueryError(f"{self.outstanding} queries are waiting already: ask again once one is answered.")
            self.outstanding += 1
            query = Query(text, query_id, on_partial=on_partial, key=str(next(self._keys)))
        query.answer.add_done_callback(self._release)
        return query

    def _release(self, _: Future) -> None:
        with self._lock:
            self.outstanding -= 1
