# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let a language model write streaming dialogues from timed steps (paper, section 3.2). A killed run goes on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from videollm_ros.data.convert.command import make_request
from videollm_ros.data.convert.request import Request, RequestError
from videollm_ros.data.convert.timed import read_steps
from videollm_ros.data.dialogues import Dialogue, DialogueError
from videollm_ros.data.generation.answers import (
    Grade,
    Replies,
    check_replies,
    check_score,
    dialogue_messages,
    judge_messages,
)
from videollm_ros.data.generation.chat import Chat, ServerChat
from videollm_ros.data.generation.filters import check_length, check_times
from videollm_ros.data.generation.journal import Journal
from videollm_ros.data.generation.runner import Asker, Job, RejectedError, Runner
from videollm_ros.data.generation.settings import limits_of, open_chat, report
from videollm_ros.data.generation.skeleton import Skeleton, draw_skeleton


def generate(given: argparse.Namespace) -> int:
    """Generate; return 0, or 1 where dialogues are left for another run.

    Raises:
        RequestError: a setting is of no use, or the model cannot be asked.
    """
    if min(given.dialogues, given.queries) < 1 or not 0 <= given.shortest <= given.longest:
        raise RequestError("--dialogues and --queries are at least 1, and --shortest is not above --longest.")
    limits, request = limits_of(given), make_request(given)
    chat = open_chat(given)
    judge = ServerChat(given.judge, given.url, given.timeout, 0.0) if given.judge else None
    with Journal(given.output) as journal:
        runner = Runner(journal, limits)
        try:
            runner.run(_jobs(given, request, chat, judge))
        finally:
            code = report(given.output, runner, journal, "dialogues")
            if request.tally.counts:
                print(f"Told above: {request.tally.summary()}.")
    return code


def _jobs(given: argparse.Namespace, request: Request, chat: Chat, judge: Chat | None) -> Iterator[Job]:
    for recording, annotated in read_steps(request):
        steps = [step for step in annotated if step.role == "assistant"]
        grid = request.grid(recording)
        for index in range(given.dialogues if steps and grid else 0):
            # Each annotator of a recording has dialogues of its own.
            parts = (recording, steps[0].annotator, index, given.seed)
            rng = request.draw("generate", *parts)
            skeleton = draw_skeleton(steps, grid, rng, given.queries, given.users) if grid else None
            if skeleton is not None:
                writing = _Writing(given, skeleton, chat, judge, parts)
                yield Job("/".join(map(str, parts)), writing)


class _Writing:
    """Writes one dialogue."""

    def __init__(
        self,
        given: argparse.Namespace,
        skeleton: Skeleton,
        chat: Chat,
        judge: Chat | None,
        parts: tuple[str, str, int, int],
    ) -> None:
        self._given, self._skeleton, self._chat, self._judge, self._parts = given, skeleton, chat, judge, parts

    async def __call__(self, asker: Asker) -> dict[str, Any]:
        """Return the dialogue as a line of a file."""
        skeleton, given = self._skeleton, self._given
        about: dict[str, Any] = {"recording": skeleton.recording, "user": skeleton.user}
        check_length(skeleton, given.shortest, given.longest)
        replies: list[str] = await asker.ask(
            self._chat, dialogue_messages(skeleton), Replies, lambda text: check_replies(text, skeleton)
        )
        check_times(replies)
        if self._judge is not None:
            grade: Grade = await asker.ask(self._judge, judge_messages(skeleton, replies), Grade, check_score, "grades")
            if grade.score < given.least_score:
                kept = {"replies": replies, "score": grade.score}
                raise RejectedError("graded too low", f"The judge gives {grade.score}: {grade.reason[:500]}", kept)
            about["score"] = grade.score
        recording, annotator, index, seed = self._parts
        line = skeleton.fill(replies).line(recording)
        _check(line)
        about |= {"index": index, "seed": seed, "annotator": annotator, "model": given.model or given.local}
        return {**line, "generated": about}


def _check(line: dict[str, Any]) -> None:
    try:
        Dialogue(line["video"], tuple(line["frames"]), line["conversation"], line["video"]).check()
    except DialogueError as error:
        raise RejectedError("dialogues that cannot be trained on", str(error)) from error
