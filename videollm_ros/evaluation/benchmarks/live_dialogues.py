# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run `dialogues`: the same dialogues live, on the model's own words, scored like recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from videollm_ros.assistant import AssistantSettings
from videollm_ros.data.dialogues import Dialogue
from videollm_ros.evaluation.annotations import AnnotatedEvent, AnnotatedQuery
from videollm_ros.evaluation.benchmarks.benchmark import Item, Record, Scored
from videollm_ros.evaluation.benchmarks.footage import Footage
from videollm_ros.evaluation.benchmarks.teacher_forced import EGO4D_NOTE, dialogue_items
from videollm_ros.evaluation.benchmarks.watch import watch_features
from videollm_ros.evaluation.results import make_result
from videollm_ros.evaluation.scores.baselines import baselines
from videollm_ros.evaluation.scores.judged import ScoreSettings
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.live import LiveModel
from videollm_ros.media.bags import NANOSECONDS


@dataclass(frozen=True)
class Script:
    """Say what a live run of a dialogue is given, and what it should say. Times are seconds from the first frame."""

    instructions: dict[int, str]
    """Number of a frame -> standing instruction that is given just before it."""
    queries: list[AnnotatedQuery]
    events: list[AnnotatedEvent]
    notes: list[str]


def script_of(dialogue: Dialogue, fps: float) -> Script:
    """Turn a dialogue into what is asked when, and what should be said when.

    A text of the user that a reply follows is a query at the frame before it. Any other is an instruction, which is
    given just before the frame that follows it and takes the place of the one before. Of several at one frame, one text
    is made. Behind the last frame there is nothing to instruct for.
    """
    instructions: dict[int, str] = {}
    asked, frames = "", 0
    queries, events = [], []
    messages = dialogue.conversation
    for message, following in zip(messages, [*messages[1:], {"role": ""}], strict=True):
        time = max(frames - 1, 0) / fps
        if message["role"] == "stream":
            frames += message["num_frames"]
        elif message["role"] == "user":
            asked = message["content"] if following["role"] == "assistant" else ""
            if not asked:
                before = [instructions[frames]] if frames in instructions else []
                instructions[frames] = " ".join([*before, message["content"]])
        elif message["role"] == "assistant" and asked:
            queries.append(AnnotatedQuery(time, asked, message["content"]))
            asked = ""
        elif message["role"] == "assistant":
            events.append(AnnotatedEvent(time, message["content"]))
    late = instructions.pop(frames, None)
    notes = ["An instruction behind the last frame was not given."] if late is not None else []
    return Script(instructions, queries, events, notes)


class DialoguesBenchmark:
    """Run dialogues live.

    Args:
        dialogues: JSON-lines file of dialogues.
        footage: their frames.
        watching: how the model watches. A dialogue's own instructions take the place of the one given here.
        scoring: how its words are judged.
        fps: frames per second of the dialogues.
        window: the model sees the last so many frames alone. 0: all that its context holds.
    """

    name = "dialogues"

    def __init__(
        self,
        dialogues: Path,
        footage: Footage,
        watching: AssistantSettings,
        scoring: ScoreSettings,
        fps: float,
        window: int = 0,
    ) -> None:
        self._window = window
        self._dialogues, self._footage, self._fps = dialogues, footage, fps
        self._watching, self._scoring = watching, scoring

    def items(self) -> list[Item]:
        """Return the dialogues."""
        return dialogue_items(self._dialogues)

    def missing(self, item: Item) -> str:
        """Return as a sentence that a dialogue has no frames, or that its video is not there."""
        if not item.content.num_frames:
            return f"{item.content.source}: the dialogue has no frames to watch."
        return self._footage.missing(item.video)

    def fingerprint(self, item: Item) -> str:
        """Return what changes when the footage changes."""
        return self._footage.fingerprint(item.video)

    def silent(self, item: Item) -> Record | None:
        """Return a transcript of the dialogue's length in which nothing is said."""
        seconds = max(item.content.num_frames - 1, 0) / self._fps
        return Record(Transcript(item.id, end=round(seconds * NANOSECONDS)))

    def run(self, model: LiveModel, item: Item) -> Record:
        """Watch the frames of one dialogue."""
        script = script_of(item.content, self._fps)
        features = self._footage.features(item.content)
        transcript = watch_features(
            model, features, item.id, self._watching, script.queries, self._window, script.instructions
        )
        transcript.notes += script.notes
        return Record(transcript)

    def score(self, model: LiveModel, items: Sequence[Item], records: Sequence[Record]) -> Scored:
        """Score every dialogue as a recording."""
        scripts = [script_of(item.content, self._fps) for item in items]
        results = [
            make_result(record.transcript, script.events, script.queries, self._scoring)
            for script, record in zip(scripts, records, strict=True)
        ]
        counts = [result.counts for result in results if result.counts is not None]
        recordings = [
            (script.events, record.transcript.watched) for script, record in zip(scripts, records, strict=True)
        ]
        totals: Counter[str] = Counter()
        for each in counts:
            totals.update(each.totals)
        return Scored(
            [each.parts for each in counts],
            baselines(recordings, self._scoring),
            [result.judged for result in results if result.judged is not None],
            notes=[EGO4D_NOTE, *_notes(scripts)],
            more={"counts": dict(totals)},
        )


def _notes(scripts: Sequence[Script]) -> list[str]:
    """Say how many instructions came within the streams, and how many were not given."""
    within = sum(frame > 0 for script in scripts for frame in script.instructions)
    late = sum(len(script.notes) for script in scripts)
    notes = [f"{within} instructions came in the middle of a stream and were given there."] if within else []
    return notes + ([f"{late} instructions behind the last frame were not given."] if late else [])
