# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Work through jobs for a language model: several at once, at a rate, within a budget, resumed where a run ended."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from tqdm import tqdm

from videollm_ros.data.convert.request import RequestError
from videollm_ros.data.generation.answers import AnswerError, Messages
from videollm_ros.data.generation.chat import Answer, Chat, UnavailableError
from videollm_ros.data.generation.journal import Journal

_GIVE_UP_AFTER = 5
"""Requests in a row that could not be made. After these the server is taken to be down."""


class RejectedError(Exception):
    """A result that is put aside. `kind` is what is counted, the message the reason."""

    def __init__(self, kind: str, reason: str, values: dict[str, Any] | None = None) -> None:
        """Take the kind, the reason and what is kept with it."""
        super().__init__(reason)
        self.kind, self.values = kind, values or {}


@dataclass(frozen=True)
class Limits:
    """How much is asked for.

    Args:
        concurrency: requests at once.
        per_minute: requests that begin per minute. None sets no limit.
        budget: what all requests may cost together, earlier runs included. None sets no limit.
        prices: of a million tokens of prompts, and of answers, in the budget's currency.
        attempts: for an answer that has not the asked form, before it is put aside.
    """

    concurrency: int = 8
    per_minute: float | None = None
    budget: float | None = None
    prices: tuple[float, float] = (0.0, 0.0)
    attempts: int = 3

    def cost(self, tokens: Iterable[int]) -> float:
        """Return what tokens of prompts and answers cost."""
        return sum(count * price for count, price in zip(tokens, self.prices, strict=True)) / 1e6


@dataclass
class Job:
    """A result to be made with `make(asker)`, which returns its values or raises `RejectedError`."""

    key: str
    make: Callable[[Asker], Any]


@dataclass
class Outcome:
    """What became of the jobs of a run."""

    made: int = 0
    skipped: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    """Why jobs were not done. The same command does them later."""


class Asker:
    """Asks a model for one job, again while the answer has not the asked form. Counts its tokens."""

    def __init__(self, runner: Runner) -> None:
        """Begin without tokens."""
        self._runner = runner
        self.tokens = (0, 0)

    async def ask(
        self, chat: Chat, messages: Messages, kind: type[BaseModel], check: Callable[[str], Any], what: str = "answers"
    ) -> Any:
        """Return what `check` makes of an answer.

        Raises:
            RejectedError: no attempt gave an answer of the asked form.
            UnavailableError: the model cannot be asked now, or the budget is used up.
        """
        answer, error = Answer("", (0, 0)), ""
        for _ in range(self._runner.limits.attempts):
            answer = await self._runner.request(chat, messages, kind)
            self.tokens = (self.tokens[0] + answer.tokens[0], self.tokens[1] + answer.tokens[1])
            try:
                if answer.cut_off:
                    raise AnswerError("The answer was cut off, since it is too long.")
                return check(answer.text)
            except AnswerError as wrong:
                error = str(wrong)
        raise RejectedError(f"malformed {what}", error, {"answer": answer.text[:2000]})


class Runner:
    """Does jobs and keeps their results in a journal."""

    def __init__(self, journal: Journal, limits: Limits) -> None:
        """Take where results go, and how much may be asked for."""
        self.journal, self.limits, self.outcome = journal, limits, Outcome()
        self._spent = limits.cost(journal.tokens)
        self._next_start = 0.0
        self._failures = 0

    def run(self, jobs: Iterable[Job], total: int | None = None) -> Outcome:
        """Do all jobs that have no result yet.

        Raises:
            RequestError: the server refuses all requests, or is down.
        """
        with tqdm(total=total, unit=" results", desc="generate", disable=None) as bar:
            asyncio.run(self._run(iter(jobs), bar))
        return self.outcome

    async def request(self, chat: Chat, messages: Messages, kind: type[BaseModel]) -> Answer:
        """Make one request in its turn.

        Raises:
            UnavailableError: the model cannot be asked, or the budget is used up.
        """
        if self.limits.budget is not None and self._spent >= self.limits.budget:
            raise UnavailableError("the budget is used up")
        if self.limits.per_minute is not None:
            now = time.monotonic()
            self._next_start = max(self._next_start, now) + 60 / self.limits.per_minute
            await asyncio.sleep(self._next_start - 60 / self.limits.per_minute - now)
        answer = await chat.ask(messages, kind)
        self._spent += self.limits.cost(answer.tokens)
        return answer

    async def _run(self, jobs: Iterator[Job], bar: tqdm) -> None:  # type: ignore[type-arg]
        workers = [asyncio.create_task(self._work(jobs, bar)) for _ in range(self.limits.concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, jobs: Iterator[Job], bar: tqdm) -> None:  # type: ignore[type-arg]
        for job in jobs:
            bar.update()
            if job.key in self.journal:
                self.outcome.skipped += 1
                continue
            asker = Asker(self)
            try:
                self.journal.add(job.key, await job.make(asker), asker.tokens)
                self.outcome.made += 1
                self._failures = 0
            except RejectedError as error:
                values = {"kind": error.kind, "reason": str(error), **error.values}
                self.journal.reject(job.key, values, asker.tokens)
                self.outcome.rejected[error.kind] += 1
                self._failures = 0
            except UnavailableError as error:
                self._leave(job, error)

    def _leave(self, job: Job, error: UnavailableError) -> None:
        self.outcome.left[str(error)[:200]] += 1
        if str(error) == "the budget is used up":
            return
        self._failures += 1
        if self._failures >= _GIVE_UP_AFTER:
            raise RequestError(
                f"{self._failures} requests in a row failed, the last one for {job.key}: {error}. "
                "What was made is kept. Give the same command again to go on."
            ) from error
