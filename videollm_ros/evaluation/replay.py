# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run one recording at several thresholds, each only from the first frame that is decided otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from videollm_ros.assistant import AssistantSettings
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.encoder import Batch, Encoder
from videollm_ros.evaluation.recording import Recording
from videollm_ros.evaluation.transcribe import Watcher
from videollm_ros.evaluation.transcript import ANSWERS, SPEAKS, Decision, Transcript
from videollm_ros.live import LiveModel, SpeakRule
from videollm_ros.live.speak_rule import Form

_SNAPSHOTS = 12  # of a run: each holds a whole KV cache


@dataclass
class _Run:
    """One run over a recording, and copies of it at several of its batches."""

    rule: SpeakRule
    transcript: Transcript
    snapshots: dict[int, Watcher] = field(default_factory=dict)  # number of a batch -> the watcher before it


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
        self._batches: list[Batch] = list(Encoder(model, recording, settings.stream, self._seen))
        if not self._batches:
            raise ValueError(f"{recording.name} gives no frame to watch. {' '.join(self._seen.notes)}")
        self._first_frames = [0]  # number of the first frame of each batch
        for batch in self._batches:
            self._first_frames.append(self._first_frames[-1] + len(batch.stamps))
        self._runs: list[_Run] = []
        self.frames_read = 0
        """Frames that the decoder has read in all runs."""

    def run(self, threshold: float) -> Transcript:
        """Return the transcript at a threshold.

        Frames are read only from the first on whose decision differs from that of an earlier run, or may differ.
        """
        rule = SpeakRule(threshold, cast(Form, self._settings.stream.rule))
        best, same = None, -1
        for run in self._runs:
            differs = first_difference(run.transcript.decisions, run.rule, rule)
            if differs is None:
                return _relabeled(run.transcript, threshold)
            if differs > same:
                best, same = run, differs
        start, watcher = self._resume(best, same)
        watcher.session.rule = rule
        watcher.transcript.decisions[:] = [replace(each, threshold=threshold) for each in watcher.transcript.decisions]
        run = _Run(rule, watcher.transcript)
        every = -(-len(self._batches) // _SNAPSHOTS)
        for number, batch in enumerate(self._batches[start:], start):
            if number % every == 0:
                run.snapshots[number] = watcher.fork()
            watcher.watch(batch)
            self.frames_read += len(batch.stamps)
        watcher.finish()
        self._runs.append(run)
        return watcher.transcript

    def _resume(self, run: _Run | None, frame: int) -> tuple[int, Watcher]:
        """Return the number of a batch and a watcher as it was before it: the latest snapshot before a frame."""
        usable = [n for n in run.snapshots if self._first_frames[n] <= frame] if run is not None else []
        if run is None or not usable:
            blank = replace(self._seen, decisions=[], utterances=[], held_back=[], thumbnails={}, timings={})
            return 0, Watcher(self._model, self._settings, blank, self._queries)
        return max(usable), run.snapshots[max(usable)].fork()


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
