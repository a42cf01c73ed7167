# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the console knows about one assistant: what a page needs when it is opened. No ROS, no network.

Events are plain dictionaries with a `type`; `AssistantState.apply` takes them one by one, and the pages get the same
ones. Stamps are seconds, or nanoseconds as a string where a frame is meant: JavaScript cannot count so far.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

HISTORY_SECONDS = 120.0  # of speak probabilities
MAX_PROBABILITIES = 4000
MAX_UTTERANCES = 100

Event = dict[str, Any]

# Figure on the page -> key in /diagnostics.
FIGURES = {
    "images_in": "images in (Hz)",
    "frames_used": "frames used (Hz)",
    "frames_dropped": "frames dropped (Hz)",
    "dropped": "frames dropped",
    "waiting": "frames waiting",
    "lag": "lag behind the newest image (s)",
    "context": "context (%)",
    "context_tokens": "context (tokens)",
    "memory": "memory: process (MiB)",
    "muted": "muted",
    "state": "state",
}


class AssistantState:
    """Keeps two minutes of probabilities, the newest utterances and the newest of everything else."""

    def __init__(self) -> None:
        self.probabilities: deque[tuple[float, float]] = deque(maxlen=MAX_PROBABILITIES)
        self.utterances: OrderedDict[str, Event] = OrderedDict()
        self.newest: dict[str, Event] = {}  # type -> event: threshold, status, condition, image_error

    def apply(self, event: Event) -> bool:
        """Take an event over. Returns whether it says anything new."""
        kind = event["type"]
        if kind == "utterance":
            return self._utterance(event)
        if kind == "probability":
            self._probability(event["stamp"], event["probability"])
            self.newest["threshold"] = {"type": "threshold", "value": event["threshold"]}
        elif kind == "cut_off":
            self._cut_off()
        else:
            self.newest[kind] = event
        return True

    def _probability(self, stamp: float, probability: float) -> None:
        if self.probabilities and stamp < self.probabilities[-1][0]:
            self.probabilities.clear()  # a new stream, as of a looped bag
        self.probabilities.append((stamp, probability))
        while stamp - self.probabilities[0][0] > HISTORY_SECONDS:
            self.probabilities.popleft()

    def _utterance(self, event: Event) -> bool:
        known = self.utterances.get(event["key"])
        if known is not None and (known["final"] or known["sequence"] > event["sequence"]):
            return False  # a late piece, or the end a second time
        self.utterances[event["key"]] = event
        while len(self.utterances) > MAX_UTTERANCES:
            self.utterances.popitem(last=False)
        return True

    def _cut_off(self) -> None:
        """Close what was being said when the assistant went away."""
        for utterance in self.utterances.values():
            if not utterance["final"]:
                utterance["final"] = utterance["cut_off"] = True

    def snapshot(self) -> Event:
        """Return everything as one event."""
        return {
            "type": "snapshot",
            "probabilities": list(self.probabilities),
            "utterances": list(self.utterances.values()),
            **self.newest,
        }
