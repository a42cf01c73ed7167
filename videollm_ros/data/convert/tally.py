# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run left out and why: each a sentence, the first few of a kind in full, all of them counted."""

from __future__ import annotations

import logging
from collections import Counter

_SHOWN = 5  # sentences of one kind; a file of a million bad lines does not fill the console
_LOG = logging.getLogger("videollm_ros.data")


class AnnotationError(ValueError):
    """An annotation that cannot be used. `kind` is what is counted, the message is a whole sentence."""

    def __init__(self, kind: str, sentence: str) -> None:
        """Take the words to count under, such as "negative times", and what was given and expected."""
        super().__init__(sentence)
        self.kind = kind


class Tally:
    """Counts what was left out or changed, by kind."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self.counts: Counter[str] = Counter()

    def tell(self, kind: str, sentence: str, number: int = 1) -> None:
        """Count `number` more of a kind and write the sentence, unless enough of its kind were written."""
        self.counts[kind] += number
        seen = self.counts[kind]
        if seen - number < _SHOWN:
            _LOG.warning("%s", sentence)
        elif seen - number == _SHOWN:
            _LOG.warning("More %s follow. They are only counted.", kind)

    def error(self, where: str, error: AnnotationError) -> None:
        """Count an annotation that is left out and say where it stands."""
        self.tell(error.kind, f"{where}: {error} It is left out.")

    def summary(self) -> str:
        """Return all counts on one line, or an empty string when nothing was counted."""
        return ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.counts.items()))
