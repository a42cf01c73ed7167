# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run `streamingbench-proactive`: say something when the video shows it (StreamingBench, proactive output)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.benchmarks.annotation_file import read_entries
from videollm_ros.evaluation.benchmarks.benchmark import Item, ItemParts, Record, Scored
from videollm_ros.evaluation.benchmarks.figures import ratios
from videollm_ros.evaluation.benchmarks.video_questions import VideoBenchmark, VideoQuestions
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.live import LiveModel
from videollm_ros.media.bags import to_seconds

FIRST_POLL, LAST_POLL, TOLERANCE = 1.0, 4.0, 2.0
"""Seconds after the question, after the right time, and around the right time, as in the public evaluation."""


@dataclass(frozen=True)
class _Task:
    asked: float
    due: float
    output: str
    query: AnnotatedQuery


class StreamingBenchProactive(VideoBenchmark):
    """Ask, watch on, and take the first thing that is said from a second after the question on.

    Args:
        annotations: questions_proactive.json.
        questions: the videos, and how the model watches.
        seconds_before: so much of the video before a question is watched. The public code has nothing before it.
    """

    name = "streamingbench-proactive"

    def __init__(self, annotations: Path, questions: VideoQuestions, seconds_before: float = 0.0) -> None:
        super().__init__(annotations, questions)
        self._seconds_before = seconds_before

    def items(self) -> list[Item]:
        """Return the questions.

        Raises:
            ValueError: the file, or an entry of it, has another form.
            OSError: it cannot be read.
        """
        items: list[Item] = []
        for entry in read_entries(self._annotations):
            video = entry.text("video_path")
            for question in entry.objects("questions"):
                asked, due = question.seconds("time_stamp"), question.seconds("ground_truth_time_stamp")
                query = AnnotatedQuery(asked, question.text("question"))
                task = _Task(asked, due, question.text("ground_truth_output"), query)
                items.append(Item(f"question {len(items) + 1}", video, task))
        return items

    def silent(self, item: Item) -> Record | None:
        """Return a transcript in which nothing is said."""
        return Record(Transcript(item.id))

    def run(self, model: LiveModel, item: Item) -> Record:
        """Ask one question. The stream begins with it, or some time before."""
        task: _Task = item.content
        begin, end = max(0.0, task.asked - self._seconds_before), task.due + LAST_POLL
        return self._questions.watch(model, item.id, item.video, [task.query], begin, end)

    def score(self, model: LiveModel, items: Sequence[Item], records: Sequence[Record]) -> Scored:
        """Count replies that come in time, and those that are right as well."""
        tasks: list[_Task] = [item.content for item in items]
        parts = [_count(task, *_reply(task, record.transcript)) for task, record in zip(tasks, records, strict=True)]
        trivial = {
            "silence": ratios([_count(task, None, "") for task in tasks]),
            "the right output a second after the question": ratios(
                [_count(task, task.asked + FIRST_POLL, task.output) for task in tasks]
            ),
        }
        return Scored(parts, trivial)


def _reply(task: _Task, transcript: Transcript) -> tuple[float | None, str]:
    """Return the time and the text of what counts as the reply. The answer at the question's own moment does not."""
    for said in transcript.utterances:
        if task.asked + FIRST_POLL <= to_seconds(said.stamp) <= task.due + LAST_POLL:
            return to_seconds(said.stamp), said.text
    return None, ""


def _count(task: _Task, time: float | None, text: str) -> ItemParts:
    in_time = time is not None and abs(time - task.due) <= TOLERANCE
    return {
        "time_accuracy": (float(in_time), 1.0),
        "answer_accuracy": (float(in_time and task.output in text), 1.0),
        "replied": (float(time is not None), 1.0),
    }
