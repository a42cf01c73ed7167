# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run one recording at several thresholds, each only from the first frame that is decided otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

from videollm_ros.assistant import AssistantSettings
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.encoder import Encoder
from videollm_ros.evaluation.recording import Recording
from videollm_ros.evaluation.transcribe import Watcher
from videollm_ros.evaluation.transcript import ANSWERS, SPEAKS, Decision, Transcript
from videollm_ros.live import LiveModel, SpeakRule
from videollm_ros.live.speak_rule import Form

_EVERY = 12  # parts of a recording at whose beginnings a run may be copied
_HELD = 4  # copies held at the same time: each holds a whole KV cache


@dataclass
class _Start:
    """Say from where a run at a threshold may go on: a copy of an earlier run before one of its batches."""

    batch: int
    watcher: Watcher


@dataclass
class _Run:
    """One run over a recording."""

    rule: SpeakRule
    transcript: Transcript


class Replay:
    """Run one recording at several thresholds. The recording is read and encoded once.

    Args:
        model: the model.
        recording: what it watches.
        settings: how it watches. The form of the rule is kept, theta is replaced.
        queries: what is asked when.

    Raises:
        ValueError: the recording cannot be read.
    """

    def __init__(
        self,
        model: LiveModel,
        recording: Recording,
        settings: AssistantSettings,
        queries: Sequence[AnnotatedQuery] = (),
    ) -> None:
        self._model, self._settings = model, settings
        self._queries = [*recording.queries(), *queries]
        self._seen = Transcript(recording.name)
        warning = model.config.rate_warning(settings.stream.fps or model.config.frame_fps)
        self._seen.notes += [warning] if warning else []
        # The frames of an hour would fill the memory of a GPU. Nobody looks at the thumbnails.
        self._batches = [
            replace(batch, embeds=batch.embeds.cpu(), thumbnails=[])
            for batch in Encoder(model, recording, settings.stream, self._seen)
        ]
        if not self._batches:
            raise ValueError(f"{recording.name} gives no frame to watch. {' '.join(self._seen.notes)}")
        self._first_frames = [0]  # number of the first frame of each batch
        for batch in self._batches:
            self._first_frames.append(self._first_frames[-1] + len(batch.stamps))
        self._runs: list[_Run] = []
        self._starts: dict[float, _Start] = {}  # threshold that is still to be run -> from where
        self.frames_read = 0
        """Frames that the decoder has read in all runs."""

    @property
    def copies_held(self) -> int:
        """Return how many copies of a run, each with its KV cache, are held."""
        return len({id(start.watcher) for start in self._starts.values()})

    def run(self, thresholds: Sequence[float]) -> Iterator[Transcript]:
        """Yield the transcript at each threshold.

        Frames are read only from the first on whose decision differs from that of an earlier run, or may differ. A copy
        of a run is held only as long as a threshold that is still to come may go on from it.
        """
        for number, threshold in enumerate(thresholds):
            yield self._run(threshold, thresholds[number + 1 :])

    def _run(self, threshold: float, later: Sequence[float]) -> Transcript:
        rule, start = self._rule(threshold), self._starts.pop(threshold, None)
        for run in self._runs:
            if first_difference(run.transcript.decisions, run.rule, rule) is None:
                return _relabeled(run.transcript, threshold)
        begin, watcher = (0, self._blank()) if start is None else (start.batch, start.watcher.fork())
        watcher.session.rule = rule
        watcher.transcript.decisions[:] = [replace(each, threshold=threshold) for each in watcher.transcript.decisions]
        compared, agreeing, every = 0, list(later), -(-len(self._batches) // _EVERY)
        for number, batch in enumerate(self._batches[begin:], begin):
            decided = watcher.transcript.decisions
            agreeing = [t for t in agreeing if first_difference(decided[compared:], rule, self._rule(t)) is None]
            compared = len(decided)
            if number % every == 0 and number:
                self._hold(number, watcher, agreeing)
            watcher.watch(replace(batch, embeds=batch.embeds.to(self._model.device)))
            self.frames_read += len(batch.stamps)
        watcher.finish()
        self._runs.append(_Run(rule, watcher.transcript))
        return watcher.transcript

    def _hold(self, number: int, watcher: Watcher, agreeing: Sequence[float]) -> None:
        """Copy a run before a batch for the thresholds that could not go on from as late a batch so far."""
        gaining = [t for t in agreeing if t not in self._starts or self._starts[t].batch < number]
        if not gaining:
            return
        start = _Start(number, watcher.fork())
        self._starts |= dict.fromkeys(gaining, start)
        while self.copies_held > _HELD:  # what saves the fewest frames goes
            fewest = min(self._starts.values(), key=lambda each: each.batch)
            self._starts = {t: each for t, each in self._starts.items() if each is not fewest}

    def _blank(self) -> Watcher:
        blank = replace(self._seen, decisions=[], utterances=[], held_back=[], thumbnails={}, timings={})
        return Watcher(self._model, self._settings, blank, self._queries)

    def _rule(self, threshold: float) -> SpeakRule:
        return SpeakRule(threshold, cast(Form, self._settings.stream.rule))


def first_difference(decisions: Sequence[Decision], rule: SpeakRule, other: SpeakRule) -> int | None:
    """Return the number of the first frame that may be decided otherwise with another threshold. None if none is.

    Args:
        decisions: of a run with `rule`.
        rule: the rule of that run.
        other: a rule of the same form with another threshold.
    """
    for number, decision in enumerate(decisions):
        if decision.decision != ANSWERS and _may_differ(decision, rule, other):
            return number
    return None


def _may_differ(decision: Decision, rule: SpeakRule, other: SpeakRule) -> bool:
    p_silence, speaks = 1 - decision.speak_probability, decision.decision == SPEAKS
    if min(abs(p_silence - rule.threshold), abs(p_silence - other.threshold)) < 1e-6:
        return True  # too close to tell
    if rule.form == "paper" and speaks and p_silence < rule.threshold:
        # Whether silence was the likeliest token is not known. Above one half it was, and below theta it speaks anyway.
        return p_silence >= other.threshold
    is_argmax = rule.form == "plain" or not speaks
    return other.speaks(p_silence, is_argmax) != speaks


def _relabeled(transcript: Transcript, threshold: float) -> Transcript:
    decisions = [replace(each, threshold=threshold) for each in transcript.decisions]
    return replace(transcript, decisions=decisions)
