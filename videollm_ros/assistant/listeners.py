# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Those who are told what happens in a stream: publishers, logs, pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from videollm_ros.assistant.frames import Frame
from videollm_ros.assistant.updates import UtteranceUpdate

if TYPE_CHECKING:
    from videollm_ros.live import FrameDecision

_log = logging.getLogger(__name__)


class StreamListener:
    """Is told what happens in a stream. Override what you need; every method does nothing here.

    Methods are called from the inference thread, and those about images and failures from others too. They must not
    block. An exception costs the listener this one call and nobody else anything.
    """

    def wants_partials(self) -> bool:
        """Return whether somebody wants to see utterances grow. Otherwise their text is not decoded."""
        return False

    def wants_pixels(self) -> bool:
        """Return whether `Frame.pixels` is needed in `on_frame`. Otherwise they are released once encoded."""
        return False

    def on_frame(self, frame: Frame, decision: FrameDecision) -> None:
        """Take note that a frame was read, and what was decided after it."""

    def on_partial(self, update: UtteranceUpdate) -> None:
        """Take an utterance that has grown. Called only if a listener or the asker wants partial updates."""

    def on_utterance(self, update: UtteranceUpdate) -> None:
        """Take a finished utterance that is said aloud."""

    def on_held_back(self, update: UtteranceUpdate) -> None:
        """Take an utterance that is not said aloud; `update.held_back` says why."""

    def on_stream_began(self, reason: str) -> None:
        """Take note that everything seen and said was forgotten, and why."""

    def on_image_refused(self, sentence: str) -> None:
        """Take note that an image could not be read, and why."""

    def on_warning(self, sentence: str) -> None:
        """Take note of something odd that is not an error, such as stamps that stand still."""

    def on_failure(self, sentence: str) -> None:
        """Take note that the encoder or the decoder failed."""

    def on_fatal(self, sentence: str) -> None:
        """Take note that the stream cannot go on: nothing is read or answered any more."""


class Listeners:
    """Tells several listeners, and shields the stream and the others from one that raises."""

    def __init__(self, listeners: Iterable[StreamListener] = ()) -> None:
        """Tell these listeners, in this order."""
        self._listeners = tuple(listeners)
        self.failures = 0
        """Calls of a listener that raised."""
        self.last_failure = ""
        """The newest of them, as a sentence."""

    def tell(self, call: Callable[[StreamListener], object]) -> None:
        """Call each listener, as in `listeners.tell(lambda each: each.on_fatal(sentence))`."""
        for listener in self._listeners:
            self._try(call, listener)

    def any(self, question: Callable[[StreamListener], bool]) -> bool:
        """Return whether one listener says yes."""
        return any(self._try(question, listener) for listener in self._listeners)

    def guard(self, call: Callable[[], object], who: str) -> object:
        """Call somebody else's code. An error is logged and counted, and the result is then None."""
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - a listener that fails must not hurt the stream
            self.failures += 1
            sentence = f"{who} failed: {type(error).__name__}: {error}"
            if sentence != self.last_failure:  # the same again would fill the log
                _log.error(sentence, exc_info=error)
            self.last_failure = sentence
            return None

    def _try(self, call: Callable[[StreamListener], object], listener: StreamListener) -> object:
        return self.guard(lambda: call(listener), f"The listener {type(listener).__name__}")
