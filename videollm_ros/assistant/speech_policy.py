# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The manners of unasked speech: mute, cooldown, no repeats. Time is the image's stamp, in seconds."""

from __future__ import annotations

from videollm_ros.assistant.settings import SpeechSettings


class Manners:
    """What may be said unasked, given what has been said. `rules` may be replaced at any time."""

    def __init__(self, rules: SpeechSettings):
        self.rules = rules
        self._last: float | None = None  # stamp of the newest utterance of any kind
        self._said: list[tuple[float, str]] = []  # (stamp, normalised text) of what was said unasked

    def may_speak(self, stamp: float) -> bool:
        """False while muted or within the cooldown: the model then stays silent at this frame."""
        cooling = self._last is not None and stamp - self._last < self.rules.cooldown
        return not self.rules.muted and not cooling

    def is_repeat(self, text: str, stamp: float) -> bool:
        """True when just this has been said unasked within the repeat window."""
        return _normalise(text) in self._recent(stamp)

    def may_become_repeat(self, text: str, stamp: float) -> bool:
        """True while the beginning `text` of an utterance could still grow into a repeat."""
        beginning = _normalise(text)
        return any(said.startswith(beginning) for said in self._recent(stamp))

    def said(self, text: str, stamp: float, *, asked: bool) -> None:
        """Note that `text` was said. A repeat that was held back has not been said and is not noted."""
        self._last = stamp
        if not asked:
            self._said = [each for each in self._said if self._is_recent(each[0], stamp)]
            self._said.append((stamp, _normalise(text)))

    def forget(self) -> None:
        """A new stream: nothing has been said in it."""
        self._last, self._said = None, []

    def _recent(self, stamp: float) -> list[str]:
        return [text for said_at, text in self._said if self._is_recent(said_at, stamp)]

    def _is_recent(self, said_at: float, stamp: float) -> bool:
        return stamp - said_at < self.rules.repeat_window


def _normalise(text: str) -> str:
    return " ".join(text.casefold().split())
