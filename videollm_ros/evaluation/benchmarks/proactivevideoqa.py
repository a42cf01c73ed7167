# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run `proactivevideoqa`: a question at the beginning, and replies when the video shows something (PAUC).

The format is the public one of ProactiveVideoQA, in which the simulator's streams can be exported as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from videollm_ros.evaluation.annotations import AnnotatedEvent, AnnotatedQuery
from videollm_ros.evaluation.benchmarks.annotation_file import read_entries
from videollm_ros.evaluation.benchmarks.benchmark import Item, ItemParts, Record, Scored
from videollm_ros.evaluation.benchmarks.video_questions import VideoBenchmark, VideoQuestions
from videollm_ros.evaluation.scores.baselines import baselines
from videollm_ros.evaluation.scores.figures import count
from videollm_ros.evaluation.scores.judged import Judged, ScoreSettings, judge
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.live import LiveModel
from videollm_ros.media.bags import NANOSECONDS

_SUBTITLE = "Subtitle:"
_FIRST = ("pauc", "false_per_quiet_minute", "repeat_rate")
_NOTE = (
    "PAUC does not punish talking all the time. Read it beside the false utterances per quiet minute and the repeats."
)


class ProactiveVideoQaBenchmark(VideoBenchmark):
    """Ask, watch to the end, and score every reply within the reply spans.

    Args:
        annotations: anno.json of a subset.
        questions: the videos, and how the model watches.
        scoring: how replies are judged.
    """

    name = "proactivevideoqa"

    def __init__(self, annotations: Path, questions: VideoQuestions, scoring: ScoreSettings) -> None:
        super().__init__(annotations, questions)
        self._scoring = scoring

    def items(self) -> list[Item]:
        """Return the entries: what is asked, and what should be said when.

        Raises:
            ValueError: the file, or an entry of it, has another form.
            OSError: it cannot be read.
        """
        items = []
        for number, entry in enumerate(read_entries(self._annotations), 1):
            turns = [turn for turn in entry.objects("conversation") if turn.text("role") == "user"]
            asked = [turn for turn in turns if not turn.text("content").startswith(_SUBTITLE)]
            queries = [AnnotatedQuery(turn.seconds("time"), turn.text("content")) for turn in asked]
            answers = [(turn.text("content"), *turn.span("reply_timespan")) for turn in entry.objects("answer")]
            events = [AnnotatedEvent(begin, text, end) for text, begin, end in answers]
            content = (queries, events, len(turns) - len(asked))
            items.append(Item(f"{number} {entry.text('question_id')}", entry.text("video"), content))
        return items

    def silent(self, item: Item) -> Record | None:
        """Return a transcript up to the last reply span in which nothing is said."""
        seconds = max((event.stop for event in item.content[1]), default=0.0)
        return Record(Transcript(item.id, end=round(seconds * NANOSECONDS)))

    def run(self, model: LiveModel, item: Item) -> Record:
        """Ask at the time of the question and watch to the end."""
        queries, _, subtitles = item.content
        record = self._questions.watch(model, item.id, item.video, queries)
        if subtitles:
            record.transcript.notes.append(f"{subtitles} subtitles were not read.")
        return record

    def score(self, model: LiveModel, items: Sequence[Item], records: Sequence[Record]) -> Scored:
        """Score the replies."""
        pairs = list(zip(items, records, strict=True))
        judged = [judge(record.transcript.proactive, item.content[1], self._scoring) for item, record in pairs]
        parts = [self._count(each, record.transcript) for each, record in zip(judged, records, strict=True)]
        recordings = [(item.content[1], record.transcript.watched) for item, record in pairs]
        subtitles = sum(item.content[2] for item in items)
        notes = [_NOTE, *([f"{subtitles} subtitles were not read: only the video was watched."] if subtitles else [])]
        return Scored(parts, baselines(recordings, self._scoring), judged, notes=notes)

    def _count(self, judged: Judged, transcript: Transcript) -> ItemParts:
        """Count one entry. For PAUC the answer to the question is a reply like any other; it is no false alarm."""
        watched = transcript.watched
        proactive = count(judged, watched, self._scoring).parts
        replies = count(judge(transcript.utterances, judged.events, self._scoring), watched, self._scoring).parts
        parts = proactive | {"pauc": replies["pauc"]}
        return {name: parts[name] for name in [*_FIRST, *(name for name in parts if name not in _FIRST)]}
