# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write what was said beside what happened as JSON lines, to look at mistakes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from videollm_ros.evaluation.simulator import Transcript


def as_lines(transcripts: Sequence[Transcript]) -> Iterator[str]:
    """Yield one line per stream: events and questions with their times, and every utterance with its stamp."""
    for transcript in transcripts:
        tabletop = transcript.tabletop
        line = {
            "seed": transcript.seed,
            "events": [[event.time, event.text] for event in tabletop.events],
            "questions": [[question.time, question.text, question.answer] for question in tabletop.questions],
            "said": [[u.stamp, u.query, u.text, round(u.speak_probability, 4)] for u in transcript.utterances],
        }
        yield json.dumps(line, ensure_ascii=False) + "\n"
