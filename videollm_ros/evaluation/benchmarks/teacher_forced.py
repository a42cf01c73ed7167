# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run `stream`: the paper's four metrics on dialogues, teacher-forced (LM-PPL, TimeDiff, Fluency, LM-Correctness)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videollm_ros.data.dialogues import Dialogue, read_dialogues
from videollm_ros.evaluation.benchmarks.benchmark import Item, ItemParts, Record, Scored
from videollm_ros.evaluation.benchmarks.figures import ratios
from videollm_ros.evaluation.benchmarks.footage import Footage
from videollm_ros.evaluation.metrics import METRICS, stream_metrics
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.live import LiveModel

EGO4D_NOTE = (
    "The published weights were trained on the validation narrations of Ego4D as well: figures of theirs on Ego4D's "
    "validation split are not those of unseen videos."
)


def dialogue_items(path: Path) -> list[Item]:
    """Return the dialogues of a file as items, numbered by their order.

    Raises:
        DialogueError: the file is not there, or a line is not a dialogue.
    """
    return [
        Item(f"{number} {dialogue.video}".strip(), dialogue.video, dialogue)
        for number, dialogue in enumerate(read_dialogues(path), 1)
    ]


class StreamBenchmark:
    """Measure the paper's metrics per dialogue.

    Args:
        dialogues: JSON-lines file of dialogues.
        footage: their frames.
        threshold: theta. The paper takes 0.
    """

    name = "stream"

    def __init__(self, dialogues: Path, footage: Footage, threshold: float) -> None:
        self._dialogues, self._footage, self._threshold = dialogues, footage, threshold

    def items(self) -> list[Item]:
        """Return the dialogues."""
        return dialogue_items(self._dialogues)

    def missing(self, item: Item) -> str:
        """Return as a sentence that the video of a dialogue is not there."""
        return self._footage.missing(item.video) if item.content.num_frames else ""

    def fingerprint(self, item: Item) -> str:
        """Return what changes when the footage changes. A dialogue without frames has none."""
        return self._footage.fingerprint(item.video) if item.content.num_frames else ""

    def silent(self, item: Item) -> Record | None:
        """Return None: silence has no perplexity."""
        return None

    def run(self, model: LiveModel, item: Item) -> Record:
        """Read one dialogue, teacher-forced."""
        dialogue: Dialogue = item.content
        features = self._footage.features(dialogue)
        metrics = stream_metrics(model, dialogue.conversation, features, self._threshold)
        seconds = max(dialogue.num_frames - 1, 0) / model.config.frame_fps
        values: dict[str, Any] = {name: None if math.isnan(value) else value for name, value in metrics.items()}
        return Record(Transcript(item.id, end=round(seconds * 1e9)), values | {"frames": dialogue.num_frames})

    def score(self, model: LiveModel, items: Sequence[Item], records: Sequence[Record]) -> Scored:
        """Average over the dialogues in which a metric counts."""
        fps = model.config.frame_fps
        parts = [_parts(record.values, fps) for record in records]
        baselines = {
            name: ratios([_parts({"frame_diff": _mean(difference(item.content))}, fps) for item in items])
            for name, difference in (("silence", _silent), ("speech at every frame", _always))
        }
        return Scored(parts, baselines, notes=[EGO4D_NOTE])


def _parts(metrics: dict[str, Any], fps: float) -> ItemParts:
    """Count one dialogue. TimeDiff is in seconds."""
    found = {name: metrics[name] for name in METRICS if metrics.get(name) is not None}
    if "frame_diff" in found:
        found["time_diff"] = found.pop("frame_diff") / fps
    return {name: (value, 1.0) for name, value in found.items()}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _turns(dialogue: Dialogue) -> list[tuple[int, int]]:
    """Return the frames, and the learned frames, of each turn of the dialogue: up to a reply, or to the end."""
    turns, frames, learned = [], 0, 0
    for message in dialogue.conversation:
        if message["role"] == "stream":
            learn, count = message.get("learn", False), message["num_frames"]
            frames, learned = frames + count, learned + (count if learn is True else min(int(learn), count))
        elif message["role"] == "assistant":
            turns.append((frames, learned))
            frames = learned = 0
    return turns


def _always(dialogue: Dialogue) -> list[float]:
    """Return by how many frames each turn is off when every frame leads to speech."""
    return [float(learned - 1) for _, learned in _turns(dialogue) if learned]


def _silent(dialogue: Dialogue) -> list[float]:
    """Return by how many frames each turn is off when nothing is ever said."""
    turns = _turns(dialogue)
    following = [frames for frames, _ in turns[1:]] + [0]
    return [
        float(max(0, min(after, frames - 1)))
        for (frames, learned), after in zip(turns, following, strict=True)
        if learned
    ]
