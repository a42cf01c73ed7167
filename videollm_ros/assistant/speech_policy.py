# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which of the model's proactive speech is said aloud: mute, cooldown, no stutters.

The model's own rule (`live.SpeakRule`) decides after each frame whether it wants to speak. This policy decides whether
it may. Time is the image's stamp, in seconds. No torch, no ROS.

A stutter is the same text again although nothing has happened in between. A second event looks different: the
probability of speaking falls to half of what it was, stays there for `QUIET_SECONDS`, and rises again to `MIN_RISE`.
benchmark/stutter.py measures both errors on the simulator.
"""

from __future__ import annotations

from dataclasses import dataclass

from videollm_ros.assistant.settings import SpeechSettings
from videollm_ros.assistant.updates import HoldReason

QUIET_SECONDS = 1.0
"""A second event needs a longer fall of the speak probability than this. One wavering frame is none."""
MIN_RISE = 0.1
"""A second event needs at least this speak probability, however talkative the threshold makes the model."""


@dataclass
class _Said:
    """A proactive utterance, and what the speak probability did since."""

    stamp: float
    speak_probability: float
    quiet_since: float | None = None
    """Stamp of the first frame of the fall that lasts. None while there is none."""
    was_quiet: bool = False
    """Whether there was a fall that lasted long enough."""

    def note_frame(self, stamp: float, speak_probability: float) -> None:
        if speak_probability > max(self.speak_probability, MIN_RISE) / 2:
            self.quiet_since = None
        elif self.quiet_since is None:
            self.quiet_since = stamp
        elif stamp - self.quiet_since >= QUIET_SECONDS:
            self.was_quiet = True


class SpeechPolicy:
    """Says what may be said aloud, given what has been said. Belongs to the inference thread."""

    def __init__(self, settings: SpeechSettings) -> None:
        """Begin with nothing said. `settings` may be replaced at any time."""
        self.settings = settings
        self._last: float | None = None  # stamp of the newest utterance of any kind
        self._said: dict[str, _Said] = {}  # by normalized text
        self._kept_silent = False  # whether the model wanted to speak at the frame before, and did not

    # Frames.

    def may_speak(self, stamp: float) -> bool:
        """Return whether the model may speak at this frame. Otherwise nothing is decoded."""
        return self._hold_reason(stamp) is None

    def note_frame(self, stamp: float, speak_probability: float, *, kept_silent: bool) -> HoldReason | None:
        """Take note of a frame that was read.

        Args:
            stamp: Of the frame, in seconds.
            speak_probability: 1 - p(silence).
            kept_silent: Whether the model wanted to speak and did not.

        Returns:
            why it did not, at the first of several such frames in a row. None otherwise.
        """
        for said in self._said.values():
            said.note_frame(stamp, speak_probability)
        is_first, self._kept_silent = kept_silent and not self._kept_silent, kept_silent
        return self._hold_reason(stamp) if is_first else None

    def _hold_reason(self, stamp: float) -> HoldReason | None:
        if self.settings.muted:
            return HoldReason.MUTED
        if self._last is not None and 0 <= stamp - self._last < self.settings.cooldown:
            return HoldReason.COOLDOWN
        return None

    # Utterances.

    def is_repeat(self, text: str, stamp: float, speak_probability: float) -> bool:
        """Return whether a proactive utterance is a stutter."""
        said = self._said.get(_normalize(text))
        return said is not None and self._is_stutter(said, stamp, speak_probability)

    def may_become_repeat(self, text: str, stamp: float, speak_probability: float) -> bool:
        """Return whether the beginning `text` of a proactive utterance can still grow into a stutter."""
        beginning = _normalize(text)
        return any(
            self._is_stutter(said, stamp, speak_probability)
            for earlier, said in self._said.items()
            if earlier.startswith(beginning)
        )

    def record(self, text: str, stamp: float, speak_probability: float, *, proactive: bool) -> None:
        """Take note of an utterance that is said aloud."""
        self._last = stamp
        if proactive:
            self._remember(text, stamp, speak_probability)

    def record_repeat(self, text: str, stamp: float, speak_probability: float) -> None:
        """Take note of a stutter that is held back: what follows is compared with it."""
        self._remember(text, stamp, speak_probability)

    def forget(self) -> None:
        """Begin a new stream, in which nothing has been said."""
        self._last, self._kept_silent = None, False
        self._said.clear()

    def _remember(self, text: str, stamp: float, speak_probability: float) -> None:
        self._said = {earlier: said for earlier, said in self._said.items() if self._is_recent(said, stamp)}
        self._said[_normalize(text)] = _Said(stamp, speak_probability, was_quiet=speak_probability <= MIN_RISE / 2)

    def _is_stutter(self, said: _Said, stamp: float, speak_probability: float) -> bool:
        is_second_event = said.was_quiet and speak_probability >= MIN_RISE
        return self._is_recent(said, stamp) and not is_second_event

    def _is_recent(self, said: _Said, stamp: float) -> bool:
        return 0 <= stamp - said.stamp < self.settings.repeat_window


def _normalize(text: str) -> str:
    return " ".join(text.casefold().split())
