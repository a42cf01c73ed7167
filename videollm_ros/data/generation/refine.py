# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let a language model rewrite narrations as sentences to the wearer. Each distinct sentence is asked for once."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videollm_ros.data.convert.command import make_request
from videollm_ros.data.convert.request import RequestError
from videollm_ros.data.convert.store import Step
from videollm_ros.data.convert.timed import read_steps
from videollm_ros.data.generation.answers import Sentences, check_sentences, refine_messages
from videollm_ros.data.generation.chat import Chat
from videollm_ros.data.generation.journal import Journal
from videollm_ros.data.generation.runner import Asker, Job, Runner
from videollm_ros.data.generation.settings import limits_of, open_chat, report
from videollm_ros.data.whole_file import whole_file


def refine(given: argparse.Namespace) -> int:
    """Rewrite; return 0, or 1 where sentences are left for another run.

    The output is a JSON-lines file for `convert timed`. Beside it, NAME.sentences.jsonl keeps what was rewritten.

    Raises:
        RequestError: a setting is of no use, or the model cannot be asked.
    """
    if given.sentences < 1:
        raise RequestError("--sentences is at least 1.")
    limits, request, chat = limits_of(given), make_request(given), open_chat(given)
    steps = [step for _, group in read_steps(request) for step in group]
    kept = given.output.with_name(f"{given.output.stem}.sentences.jsonl")
    with Journal(kept) as journal:
        known = _known(kept)
        texts = sorted({step.text for step in steps if step.role == "assistant"} - known.keys())
        runner = Runner(journal, limits)
        try:
            runner.run(_jobs(texts, given.sentences, chat))
        finally:
            code = report(kept, runner, journal, "requests for sentences")
    known = _known(kept)
    missing = sum(step.role == "assistant" and step.text not in known for step in steps)
    with whole_file(given.output) as file:
        for step in steps:
            if step.role != "assistant" or step.text in known:
                file.write(json.dumps(_line(step, known.get(step.text, step.text)), ensure_ascii=False) + "\n")
    print(
        f"{given.output}: {len(steps) - missing:,} sentences; {missing:,} were left out, since they have no new words."
    )
    return code


def _line(step: Step, text: str) -> dict[str, Any]:
    line = {"recording": step.recording, "start": step.start, "end": step.end, "text": text, "role": step.role}
    return {**line, "annotator": step.annotator} if step.annotator else line


def _known(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8") as lines:
        return {text: new for line in lines for text, new in json.loads(line)["sentences"].items()}


def _jobs(texts: list[str], size: int, chat: Chat) -> Iterator[Job]:
    for first in range(0, len(texts), size):
        part = texts[first : first + size]
        key = hashlib.sha256("\0".join(part).encode()).hexdigest()[:16]
        yield Job(key, _Rewriting(part, chat))


class _Rewriting:
    """Rewrites some sentences."""

    def __init__(self, texts: list[str], chat: Chat) -> None:
        self._texts, self._chat = texts, chat

    async def __call__(self, asker: Asker) -> dict[str, Any]:
        """Return the new words by the old ones."""
        number = len(self._texts)
        new = await asker.ask(
            self._chat, refine_messages(self._texts), Sentences, lambda text: check_sentences(text, number)
        )
        return {"sentences": dict(zip(self._texts, new, strict=True))}
