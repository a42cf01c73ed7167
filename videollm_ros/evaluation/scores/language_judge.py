# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let a language model on an OpenAI-compatible server grade what was said (optional extra "judge")."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from videollm_ros.evaluation.scores.words import RIGHT, ExactMatcher, normalize

_TASK = (
    "You grade an assistant that watches a video and says what happens. You are given what really happened and what "
    "the assistant said. Answer with one digit and nothing else. 3: it says what happened, wording aside. 2: it says "
    "a part of it, or says it with a mistake. 1: it says something else."
)


class JudgeMatcher(ExactMatcher):
    """Ask a model for a score from 1 to 3, as ProactiveVideoQA does, at temperature 0. Each pair is asked once.

    The server's key is read from OPENAI_API_KEY. A local server that needs none takes any.

    Args:
        model: name of the model on the server.
        url: base URL of the server, for example http://localhost:8000/v1. None reads OPENAI_BASE_URL.

    Raises:
        ValueError: the library openai is not installed, or no key is given.
    """

    def __init__(self, model: str, url: str | None = None) -> None:
        try:
            from openai import OpenAI, OpenAIError
        except ImportError as error:
            raise ValueError('--match judge needs openai: pip install "videollm_ros[judge]".') from error
        try:
            self._client = OpenAI(base_url=url)
        except OpenAIError as error:
            raise ValueError(f"The judge cannot be asked: {error}") from error
        self.name, self._model = f"judge ({model})", model
        self._error = OpenAIError
        self._scores: dict[tuple[str, str], int] = {}

    def grades(self, said: Sequence[str], meant: Sequence[str], wanted: np.ndarray) -> np.ndarray:
        """Grade the wanted pairs. Equal words are right without asking.

        Raises:
            ValueError: the server fails, or does not answer with a score.
        """
        grades = np.zeros((len(said), len(meant)), int)
        for u, e in np.argwhere(wanted):
            pair = (normalize(said[u]), normalize(meant[e]))
            if pair not in self._scores:
                self._scores[pair] = RIGHT if pair[0] == pair[1] else self._ask(said[u], meant[e])
            grades[u, e] = self._scores[pair]
        return grades

    def _ask(self, said: str, meant: str) -> int:
        try:
            reply = self._client.chat.completions.create(
                model=self._model,
                temperature=0,
                messages=[
                    {"role": "system", "content": _TASK},
                    {"role": "user", "content": f"What happened: {meant}\nWhat the assistant said: {said}"},
                ],
            )
        except self._error as error:
            raise ValueError(f"The judge {self._model} cannot be asked: {error}") from error
        text = (reply.choices[0].message.content or "").rsplit("</think>", 1)[-1]
        score = re.search(r"\b[123]\b", text)
        if score is None:
            raise ValueError(
                f"The judge {self._model} answers with {text[:80]!r} where a score from 1 to 3 is expected."
            )
        return int(score[0]) - 1
