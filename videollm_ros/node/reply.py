# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One reply while it is being decoded: what it belongs to and how much of it has been published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .queries import Query
from .speech import Speech


@dataclass
class Reply:
    """From the first token to the last. A reply that publishes nothing has no id."""

    query: Query | None  # None: unasked
    header: Any  # std_msgs/Header of the newest image read when it began; None before any
    speak_probability: float  # at that image
    stamp: float  # seconds of stream time at which it began
    id: int = 0
    silenced: bool = False  # muted or paused meanwhile: nothing more of it is published, except to close it
    _sequence: int = 0
    _text: str = ""

    @property
    def begun(self) -> bool:
        """Whether any of it has been published."""
        return self._sequence > 0

    @property
    def is_followed(self) -> bool:
        """Whether the asker wants to see the answer grow."""
        return self.query is not None and self.query.on_partial is not None

    def say(self, text: str, *, final: bool, truncated: bool = False) -> Speech:
        """The next message of this reply."""
        speech = Speech(
            id=self.id,
            sequence=self._sequence,
            final=final,
            text=text,
            header=self.header,
            speak_probability=self.speak_probability,
            query=self.query.text if self.query else None,
            query_id=self.query.query_id if self.query else "",
            truncated=truncated,
        )
        self._sequence += 1
        self._text = text
        return speech

    def break_off(self) -> Speech:
        """The last message of a reply that will not be completed."""
        return self.say(self._text, final=True, truncated=True)
