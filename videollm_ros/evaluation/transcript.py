# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hold what a model did on one recording: a decision per frame and every utterance; write both as files.

The files hold no path, no storage and no wall-clock time, so the same recording gives the same bytes.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.media.bags import NANOSECONDS

Span = tuple[float, float]
"""Begin and end in seconds since the first image."""

SILENT, SPEAKS, ANSWERS = "silent", "speaks", "answers"
DECISION_COLUMNS = ("stamp", "time", "stream", "speak_probability", "threshold", "decision")


@dataclass(frozen=True)
class Decision:
    """Say what the model made of one frame."""

    stamp: int
    """Of the image, in nanoseconds on the recording's clock."""
    time: float
    """Seconds since the first image of the recording."""
    stream: int
    """Which stream of the recording, counted from 0. A jump back or a long gap begins the next one."""
    speak_probability: float
    threshold: float
    decision: str
    """silent, speaks, or answers where a query took the place of the frame's own decision."""
    recorded: int | None = None
    """When the image was recorded, in nanoseconds on the recorder's clock. None where only its stamp is known."""


@dataclass(frozen=True)
class Said:
    """Hold one utterance of a transcript."""

    stamp: int
    """Of the image that made the model speak, in nanoseconds on the recording's clock."""
    time: float
    """Seconds since the first image of the recording."""
    text: str
    query: str | None = None
    """The query that it answers. None when it is proactive."""
    speak_probability: float = 1.0
    truncated: bool = False
    latency: float | None = None
    """Seconds from the image to the end of the utterance. Only of a replay in real time."""
    asked: float | None = None
    """Time of the query that it answers, which tells apart queries of the same text. None when it is not known."""
    recorded: int | None = None
    """When the image was recorded, in nanoseconds on the recorder's clock. None where only its stamp is known."""


@dataclass
class Transcript:
    """Hold what a model did on one recording."""

    name: str
    begin: int = 0
    """Stamp of the first image that is believed, in nanoseconds."""
    end: int = 0
    """The latest stamp that is believed, in nanoseconds."""
    spans: list[Span] = field(default_factory=list)
    """What was watched: one (begin, end) in seconds since the first image for each stream, in order of the streams."""
    frame_id: str = ""
    decisions: list[Decision] = field(default_factory=list)
    utterances: list[Said] = field(default_factory=list)
    queries: list[AnnotatedQuery] = field(default_factory=list)
    """What was to be asked. The time of a query of the recording is that of the newest image before it."""
    held_back: list[Said] = field(default_factory=list)
    """Proactive utterances that the node's speech policy does not say aloud: stutters, and empty ones."""
    counts: Counter[str] = field(default_factory=Counter)
    """Images read, refused and so on, to show in the report."""
    notes: list[str] = field(default_factory=list)
    """Sentences about what is unusual in the recording."""
    thumbnails: dict[tuple[int, float], bytes] = field(default_factory=dict)
    """Small JPEGs of frames by their stream and their time in seconds. Not stored in the transcript's files."""
    latency: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Mean and longest seconds per stage of a replay in real time. Not stored in the transcript's files."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds spent per stage. Not stored in the transcript's files."""

    @property
    def watched(self) -> list[Span]:
        """Return the spans, or one from the first to the last image where nothing else is known."""
        return self.spans or [(0.0, (self.end - self.begin) / NANOSECONDS)]

    @property
    def seconds(self) -> float:
        """Return how much of the recording was watched. Gaps between streams do not count."""
        return sum(end - begin for begin, end in self.watched)

    @property
    def proactive(self) -> list[Said]:
        """Return the utterances that nobody asked for."""
        return [said for said in self.utterances if said.query is None]


def write_transcript(transcript: Transcript, folder: Path) -> None:
    """Write utterances.jsonl and decisions.csv into a folder."""
    with (folder / "utterances.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for said in transcript.utterances:
            file.write(json.dumps(utterance_line(said), ensure_ascii=False) + "\n")
    with (folder / "decisions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(DECISION_COLUMNS)
        writer.writerows(map(decision_row, transcript.decisions))


def utterance_line(said: Said) -> dict[str, Any]:
    """Return an utterance as one line of utterances.jsonl."""
    line: dict[str, Any] = {
        "stamp": _stamp_text(said.stamp),
        "time": said.time,
        "text": said.text,
        "query": said.query,
        "speak_probability": round(said.speak_probability, 6),
        "truncated": said.truncated,
    }
    return line if said.latency is None else line | {"latency": round(said.latency, 3)}


def decision_row(decision: Decision) -> tuple[str | float, ...]:
    """Return a decision as one row of decisions.csv, in the order of `DECISION_COLUMNS`."""
    probability, threshold = f"{decision.speak_probability:.6f}", f"{decision.threshold:g}"
    return (_stamp_text(decision.stamp), decision.time, decision.stream, probability, threshold, decision.decision)


def _stamp_text(stamp: int) -> str:
    """Write a stamp as seconds with nine decimals, which loses nothing."""
    seconds, nanoseconds = divmod(stamp, NANOSECONDS)
    return f"{seconds}.{nanoseconds:09}"
