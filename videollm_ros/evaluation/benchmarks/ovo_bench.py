# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run `ovo-bench`: questions about the past, the present, and what is still to come (OVO-Bench).

Every question is asked at its own time in one stream per entry. The public adapters ask at the end of a clip.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.benchmarks.annotation_file import Fields, read_entries
from videollm_ros.evaluation.benchmarks.benchmark import Item, ItemParts, Record, Scored
from videollm_ros.evaluation.benchmarks.figures import ratios
from videollm_ros.evaluation.benchmarks.video_questions import (
    SECONDS_AFTER,
    VideoBenchmark,
    answers,
)
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.live import LiveModel

GROUPS = {
    "backward": ("EPM", "ASI", "HLD"),
    "realtime": ("OCR", "ACR", "ATR", "STU", "FPD", "OJR"),
    "forward": ("REC", "SSR", "CRR"),
}


@dataclass(frozen=True)
class Question:
    """A question at a time [s], with its right answer: a letter, a number, or Yes or No."""

    task: str
    time: float
    text: str
    answer: str
    num_options: int = 2

    def is_right(self, reply: str) -> bool:
        """Return whether a reply is right as the public code counts: it holds the answer, or is its initial."""
        if self.task == "REC":
            return "".join(re.findall(r"\d+", reply)) == self.answer
        return self.answer in reply or (self.task in GROUPS["forward"] and reply == self.answer[0])

    def is_strictly_right(self, reply: str) -> bool:
        """Return whether the first letter, number or word that could be an answer is the right one."""
        pattern = {"REC": r"\d+", "SSR": r"(?i)\b(?:yes|no)\b", "CRR": r"(?i)\b(?:yes|no)\b"}
        found = re.search(pattern.get(self.task, rf"\b[A-{chr(64 + self.num_options)}]\b"), reply)
        return found is not None and found[0].lower() == self.answer.lower()


def questions_of(entry: Fields) -> list[Question]:
    """Return the questions of an entry in the order of their times.

    Raises:
        ValueError: the entry has another form.
    """
    task = entry.text("task")
    if task not in GROUPS["forward"]:
        options = [f"{chr(65 + number)}. {option}" for number, option in enumerate(entry.texts("options"))]
        text = f"{entry.text('question')} {'; '.join(options)}. Answer with the letter alone."
        letter = chr(65 + entry.integer("gt", below=len(options)))
        return [Question(task, entry.seconds("realtime"), text, letter, len(options))]
    questions = []
    for test in entry.objects("test_info"):
        if task == "REC":
            text = f"How many times did they do this so far: {entry.text('activity')}? Answer with the number alone."
            answer = str(test.integer("count"))
        else:
            asked = f"Is this step being done now: {test.text('step')}?" if task == "SSR" else None
            text = asked or f"Can this be answered by what was shown so far: {entry.text('question')}"
            text, answer = f"{text} Answer Yes or No.", "Yes" if test.integer("type", below=2) else "No"
        questions.append(Question(task, test.seconds("realtime"), text, answer))
    if not questions:
        raise ValueError(f"{entry.where}: 'test_info' is empty, and a question is expected.")
    return sorted(questions, key=lambda question: question.time)


class OvoBench(VideoBenchmark):
    """Ask every question of an entry at its time, in one stream.

    Args:
        annotations: ovo_bench_new.json.
        questions: the videos, and how the model watches.
    """

    name = "ovo-bench"

    def items(self) -> list[Item]:
        """Return the entries.

        Raises:
            ValueError: the file, or an entry of it, has another form.
            OSError: it cannot be read.
        """
        known = {task for tasks in GROUPS.values() for task in tasks}
        items = []
        for entry in read_entries(self._annotations):
            if (task := entry.text("task")) in known:
                items.append(Item(f"{task} {entry.text('id')}", entry.text("video"), questions_of(entry)))
        return items

    def silent(self, item: Item) -> Record | None:
        """Return empty replies."""
        return Record(Transcript(item.id), {"replies": [""] * len(item.content)})

    def run(self, model: LiveModel, item: Item) -> Record:
        """Watch one entry's video up to a little after its last question."""
        queries = _queries(item)
        record = self._questions.watch(model, item.id, item.video, queries, end=queries[-1].time + SECONDS_AFTER)
        record.values["replies"] = answers(record.transcript, queries)
        return record

    def score(self, model: LiveModel, items: Sequence[Item], records: Sequence[Record]) -> Scored:
        """Count right answers per task, and average as the benchmark does: over tasks, then over the three groups."""
        parts = [_count(item.content, record.values["replies"]) for item, record in zip(items, records, strict=True)]
        averages = _averages({question.task for item in items for question in item.content})
        silent = [_count(item.content, [""] * len(item.content)) for item in items]
        common = _most_common([question for item in items for question in item.content])
        frequent = [_count(item.content, [common[each.task] for each in item.content]) for item in items]
        trivial = {
            "silence": ratios(silent, averages),
            "the most frequent answer": ratios(frequent, averages),
        }
        notes = ["Questions are asked in the stream, at their times. Their wording is not that of the public adapters."]
        return Scored(parts, trivial, averages=averages, notes=notes)


def _queries(item: Item) -> list[AnnotatedQuery]:
    return [AnnotatedQuery(question.time, question.text) for question in item.content]


def _count(questions: Sequence[Question], replies: Sequence[str]) -> ItemParts:
    pairs, task = list(zip(questions, replies, strict=True)), questions[0].task
    return {
        f"{task}_accuracy": (float(sum(q.is_right(reply) for q, reply in pairs)), float(len(pairs))),
        f"{task}_accuracy_strict": (float(sum(q.is_strictly_right(reply) for q, reply in pairs)), float(len(pairs))),
    }


def _averages(tasks: set[str]) -> dict[str, dict[str, float]]:
    """Return the weights of each task in its group's mean and in the total. Without a group there is no total."""
    averages: dict[str, dict[str, float]] = {}
    for kind in ("accuracy", "accuracy_strict"):
        groups = {group: [task for task in names if task in tasks] for group, names in GROUPS.items()}
        total: dict[str, float] = {}
        for group, there in groups.items():
            if there:
                averages[f"{group}_{kind}"] = {f"{task}_{kind}": 1 / len(there) for task in there}
                total |= {f"{task}_{kind}": 1 / len(there) / len(GROUPS) for task in there}
        if all(groups.values()):
            averages[f"total_{kind}"] = total
    return averages


def _most_common(questions: Sequence[Question]) -> dict[str, str]:
    """Return the most frequent right answer of each task."""
    counted: dict[str, Counter[str]] = {}
    for question in questions:
        counted.setdefault(question.task, Counter())[question.answer] += 1
    return {task: min(each, key=lambda answer: (-each[answer], answer)) for task, each in counted.items()}
