# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Say what a benchmark is: items to run one by one, and figures to make of all that came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from videollm_ros.evaluation.scores.intervals import Parts
from videollm_ros.evaluation.scores.judged import Judged
from videollm_ros.evaluation.transcript import Decision, Said, Transcript
from videollm_ros.live import LiveModel

ItemParts = Mapping[str, Parts]
"""Figure -> its numerator and denominator on one item. A figure that the item says nothing about is left out."""

_STORED = ("name", "begin", "end", "spans", "notes")


@dataclass(frozen=True)
class Item:
    """Name one thing that is run by itself: a dialogue, a question, or a stream with several questions."""

    id: str
    video: str
    """Id of its video. Items of one video are drawn together by the bootstrap, since they are not independent."""
    content: Any
    """What the benchmark needs to run it."""


@dataclass
class Record:
    """Hold what one item gave. It is stored as JSON, so that a run that was killed goes on."""

    transcript: Transcript
    values: dict[str, Any] = field(default_factory=dict)
    """What the scores need besides, in values of JSON."""
    error: str = ""
    """Why the item could not be run, as a sentence. Such an item is tried again by the next run."""
    footage: str = ""
    """Fingerprint of the files that were watched. The item is run again when it is another one."""

    @property
    def frames(self) -> int:
        """Return how many frames the model read, where it decided on none of them one by one as well."""
        return int(self.values.get("frames", len(self.transcript.decisions)))

    def to_json(self) -> dict[str, Any]:
        """Return values of JSON. Thumbnails and timings are left out."""
        transcript = self.transcript
        return {
            "values": self.values,
            "error": self.error,
            "footage": self.footage,
            "transcript": {
                **{name: getattr(transcript, name) for name in _STORED},
                "utterances": [vars(said) for said in transcript.utterances],
                "held_back": [vars(said) for said in transcript.held_back],
                "decisions": [vars(decision) for decision in transcript.decisions],
            },
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Record:
        """Return what `to_json` stored."""
        told = stored["transcript"]
        transcript = Transcript(**{name: told[name] for name in _STORED})
        transcript.spans = [(begin, end) for begin, end in told["spans"]]
        transcript.utterances = [Said(**each) for each in told["utterances"]]
        transcript.held_back = [Said(**each) for each in told["held_back"]]
        transcript.decisions = [Decision(**each) for each in told["decisions"]]
        return cls(transcript, stored["values"], stored["error"], stored["footage"])


@dataclass
class Scored:
    """Hold the figures of a benchmark before they are added up."""

    parts: list[ItemParts]
    """One per item."""
    baselines: dict[str, dict[str, float | None]]
    """What assistants that see nothing would get."""
    judged: list[Judged] = field(default_factory=list)
    """One per item, where utterances are judged against events."""
    averages: dict[str, dict[str, float]] = field(default_factory=dict)
    """Figures that are weighted sums of others: name -> figure -> weight."""
    files: dict[str, Any] = field(default_factory=dict)
    """Further files of JSON for the results: name -> content."""
    more: dict[str, Any] = field(default_factory=dict)
    """What else belongs into metrics.json."""
    notes: list[str] = field(default_factory=list)
    """What a reader of the figures must know, in sentences."""


class Benchmark(Protocol):
    """Run and score one benchmark. Another benchmark is another class with these methods."""

    name: str

    def items(self) -> list[Item]:
        """Return everything that is run, in an order that does not change."""

    def missing(self, item: Item) -> str:
        """Return as a sentence what an item lacks to be run. Empty when nothing is missing."""

    def fingerprint(self, item: Item) -> str:
        """Return what changes when the footage of an item that can be run changes."""

    def run(self, model: LiveModel, item: Item) -> Record:
        """Run one item.

        Raises:
            ValueError: its video or its annotation is of no use. The message says why.
        """

    def silent(self, item: Item) -> Record | None:
        """Return the record of an assistant that says nothing. None where silence cannot be scored."""

    def score(self, model: LiveModel, items: Sequence[Item], records: Sequence[Record]) -> Scored:
        """Score what was run. `records` are those of `items`, one by one."""
