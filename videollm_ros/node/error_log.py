# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong: a line in the log, and remembered for the diagnostics."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.impl.rcutils_logger import RcutilsLogger

from videollm_ros.assistant.listeners import StreamListener

ERROR_SECONDS = 10.0
"""How long an error affects the level of the diagnostics."""
LOG_PERIOD = 1.0
"""Seconds between two lines in the log of the same error."""


@dataclass
class LastError:
    """The newest error of one part of the node. Times are seconds, monotonic."""

    sentence: str = ""
    lasting: bool = False
    """Whether it counts until `clear`."""
    _at: float = -math.inf
    _logged: float = -math.inf

    def note(self, sentence: str, *, lasting: bool = False) -> bool:
        """Keep an error. Returns whether it is worth a line in the log: another one, or the same after a while."""
        now = time.monotonic()
        is_news = sentence != self.sentence or now - self._logged >= LOG_PERIOD
        if is_news:
            self._logged = now
        self.sentence, self.lasting, self._at = sentence, lasting, now
        return is_news

    def clear(self) -> None:
        """Take note that all is well again. The sentence is kept."""
        self.lasting, self._at = False, -math.inf

    @property
    def is_current(self) -> bool:
        """Whether it affects the diagnostics now."""
        return self.lasting or time.monotonic() - self._at < ERROR_SECONDS


class ErrorLog(StreamListener):
    """Logs and remembers the errors of model, images and queries."""

    def __init__(self, logger: RcutilsLogger, on_fatal: Callable[[], None]) -> None:
        """Write to `logger`, and call `on_fatal` once a stream cannot go on."""
        self._logger, self._on_fatal = logger, on_fatal
        self.model, self.image, self.query = LastError(), LastError(), LastError()

    def failed(self, sentence: str, *, lasting: bool = False) -> None:
        """Take note of an error of the model. A lasting one counts until a model is loaded."""
        if self.model.note(sentence, lasting=lasting):
            self._logger.error(sentence)

    def query_refused(self, sentence: str) -> None:
        """Take note of a query that nobody is told about by a response."""
        self.query.note(sentence)
        self._logger.warning(sentence, throttle_duration_sec=LOG_PERIOD)

    def on_failure(self, sentence: str) -> None:
        """Take note of a failure that the stream recovers from."""
        self.failed(sentence)

    def on_image_refused(self, sentence: str) -> None:
        """Take note of an image that cannot be read."""
        self.image.note(sentence)
        self._logger.warning(sentence, throttle_duration_sec=LOG_PERIOD)

    def on_warning(self, sentence: str) -> None:
        """Log something odd."""
        self._logger.warning(sentence)

    def on_stream_began(self, reason: str) -> None:
        """Log that everything was forgotten."""
        self._logger.info(f"A new stream begins: {reason}.", throttle_duration_sec=LOG_PERIOD)

    def on_fatal(self, sentence: str) -> None:
        """Take note that the stream cannot go on."""
        self.failed(sentence, lasting=True)
        self._on_fatal()
