# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run `coin`: the action, the next one, the task, and the actions to come (COIN, five tasks; top-1 accuracy)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from videollm_ros.evaluation.benchmarks.benchmark import Item, ItemParts, Record, Scored
from videollm_ros.evaluation.benchmarks.converted import ConvertedBenchmark, right_reply
from videollm_ros.evaluation.benchmarks.figures import ratios
from videollm_ros.evaluation.benchmarks.footage import Footage
from videollm_ros.evaluation.scores.intervals import Parts
from videollm_ros.live import LiveModel


class Labels:
    """The labels that a reply may mean. A reply means the one that takes the fewest edits of letters."""

    def __init__(self, labels: Sequence[str]) -> None:
        """Take the labels. Of two that are equally near, the first in the alphabet is taken."""
        self._labels = sorted(set(labels))
        self.nearest = cache(self._nearest)

    def _nearest(self, text: str) -> str:
        return str(process.extractOne(text, self._labels, scorer=Levenshtein.distance, processor=None)[0])

    def means(self, text: str, label: str) -> bool:
        """Return whether a text means a label."""
        return text == label or self.nearest(text) == label


def label_of(reply: str) -> str:
    """Return the label that a right reply was made of."""
    return reply.lower().removesuffix(".")


def labels_of(reply: str) -> list[str]:
    """Return the labels of a right reply with one action a line."""
    lines = reply.split("\n")
    return [label_of(line.split(". ", 1)[1] if len(lines) > 1 else line) for line in lines]


def score_sentence(reply: str, label: str, labels: Labels) -> Parts:
    """Count one reply: whether it means the label."""
    return float(labels.means(reply.lower().rstrip("."), label)), 1.0


def score_procedure(reply: str, wanted: Sequence[str], labels: Labels) -> tuple[Parts, Parts]:
    """Count the actions of one reply, line by line.

    Returns:
        right actions over all lines that there are in both, as the public code counts, which leaves out actions that
        were not predicted; and right actions over all actions.
    """
    lines = [line.split(". ")[-1] for line in reply.split("\n")]
    right = sum(labels.means(line, label) for line, label in zip(lines, wanted, strict=False))
    return (float(right), float(min(len(lines), len(wanted)))), (float(right), float(len(wanted)))


class CoinBenchmark(ConvertedBenchmark):
    """Ask about the steps of COIN's test videos.

    Args:
        annotations: COIN.json.
        footage: the frames.
        tasks: which of `options.COIN_TASKS`.
        fps: frames per second.
        window: the model sees the last so many frames alone. 0: all.
    """

    name = "coin"

    def __init__(self, annotations: Path, footage: Footage, tasks: Sequence[str], fps: float, window: int = 0) -> None:
        super().__init__(annotations, footage, fps, window)
        self._tasks = tasks

    def items(self) -> list[Item]:
        """Return the questions of all tasks."""
        return [item for task in self._tasks for item in self._all(task)] + self.missing_items()

    def score(self, model: LiveModel, items: Sequence[Item], records: Sequence[Record]) -> Scored:
        """Count right replies. The labels are those of all test videos that are there."""
        steps = Labels([label_of(right_reply(item)) for item in self._all("step")])
        tasks = Labels([label_of(right_reply(item)) for item in self._all("task")])
        replies = [record.values["replies"][0] for record in records]
        common = {task: _most_common([item for item in items if _task(item) == task]) for task in self._tasks}
        parts = [_count(item, reply, steps, tasks) for item, reply in zip(items, replies, strict=True)]
        trivial = [_count(item, common[_task(item)], steps, tasks) for item in items]
        silent: dict[str, float | None] = {name: 0.0 for name in ratios(parts) if not _is_public_procedure(name)}
        return Scored(parts, {"the most frequent label": ratios(trivial), "silence": silent})

    def _all(self, task: str) -> list[Item]:
        """Return the questions of a task, numbered within their videos."""
        seen: Counter[str] = Counter()
        items = []
        for line in self.lines(f"coin-{task}", "test"):
            video = line["video"]
            seen[video] += 1
            items.append(Item(f"{task} {video} {seen[video]}", video, line))
        return items


def _task(item: Item) -> str:
    return item.id.split(" ", 1)[0]


def _is_public_procedure(name: str) -> bool:
    return "procedure" in name and not name.endswith("_strict")


def _count(item: Item, reply: str, steps: Labels, tasks: Labels) -> ItemParts:
    task, right = _task(item), right_reply(item)
    name = f"{task.replace('-', '_')}_accuracy"
    if task in ("step", "next", "task"):
        return {name: score_sentence(reply, label_of(right), tasks if task == "task" else steps)}
    public, strict = score_procedure(reply, labels_of(right), steps)
    return {name: public, f"{name}_strict": strict}


def _most_common(items: Sequence[Item]) -> str:
    """Return the most frequent label of a task, as often as the longest reply has lines."""
    labels = [label for item in items for label in labels_of(right_reply(item))]
    if not labels:
        return ""
    counted = Counter(labels)
    most = min(counted, key=lambda label: (-counted[label], label))
    return "\n".join([most] * max(len(labels_of(right_reply(item))) for item in items))
