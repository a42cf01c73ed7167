# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run that begins where a decision differs is the same as a run from the beginning."""

import weakref

import pytest

from videollm_ros.assistant import AssistantSettings, StreamSettings
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.recording import VideoRecording
from videollm_ros.evaluation.replay import Replay, first_difference
from videollm_ros.evaluation.sweep import choose
from videollm_ros.evaluation.transcribe import Watcher, transcribe
from videollm_ros.evaluation.transcript import Decision
from videollm_ros.live import SpeakRule
from videollm_ros.sim import Tabletop
from videollm_ros.sim.video import write_video

THRESHOLDS = (0.3, 0.7, 0.8, 0.95)
QUERIES = [AnnotatedQuery(20.0, "What is on the table?")]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["paper", "plain"])
def test_a_replay_says_what_a_whole_run_says_and_reads_less(unsure_model, tmp_path, form):
    write_video(Tabletop(9003, seconds=45.0), tmp_path / "table.mp4", fps=4.0)
    recording, settings = VideoRecording(tmp_path / "table.mp4"), AssistantSettings(stream=StreamSettings(rule=form))
    replay = Replay(unsure_model, recording, settings, QUERIES)
    said = set()
    for threshold, got in zip(THRESHOLDS, replay.run(THRESHOLDS), strict=True):
        whole = AssistantSettings(stream=StreamSettings(threshold=threshold, rule=form))
        expected = transcribe(unsure_model, recording, whole, QUERIES)
        assert got.utterances == expected.utterances
        assert got.decisions == expected.decisions and got.held_back == expected.held_back
        said.add(len(got.utterances) + len(got.held_back))
    assert len(said) > 2, "the thresholds make no difference: this test shows nothing"
    assert replay.frames_read < len(THRESHOLDS) * len(expected.decisions)


@pytest.mark.slow
def test_few_copies_of_a_run_are_held_and_none_in_the_end(unsure_model, tmp_path):
    write_video(Tabletop(9003, seconds=30.0), tmp_path / "table.mp4", fps=6.0)
    settings = AssistantSettings(stream=StreamSettings(fps=6.0))
    replay = Replay(unsure_model, VideoRecording(tmp_path / "table.mp4"), settings)
    fork, made, alive = Watcher.fork, weakref.WeakSet(), []

    def counted(watcher):
        copy = fork(watcher)
        made.add(copy)
        alive.append(len(made))
        return copy

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watcher, "fork", counted)
        assert len(list(replay.run([0.3, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95]))) == 7
    assert 1 < max(alive) <= 6 and len(alive) > 6  # four, the one that goes on, and one that takes another's place
    assert replay.copies_held == 0


def decision(p_silence, kind):
    return Decision(0, 0.0, 0, 1 - p_silence, 0.7, kind)


@pytest.mark.parametrize(
    ("p_silence", "kind", "other", "differs"),
    [
        (0.8, "silent", 0.75, False),
        (0.8, "silent", 0.85, True),
        (0.6, "speaks", 0.65, False),  # still below theta
        (0.6, "speaks", 0.55, True),  # silence was the likeliest, and wins now
        (0.3, "speaks", 0.2, True),  # it may have been the likeliest
        (0.3, "speaks", 0.5, False),
        (0.3, "answers", 0.2, False),
    ],
)
def test_a_difference_is_foreseen(p_silence, kind, other, differs):
    found = first_difference([decision(p_silence, kind)], SpeakRule(0.7), SpeakRule(other))
    assert (found == 0) == differs


def row(threshold, f1, false):
    return {"threshold": threshold, "event_f1": f1, "false_per_quiet_minute": false}


def test_the_threshold_with_the_best_f1_within_the_limit_is_chosen_and_the_middle_of_equals():
    rows = [row(0.5, 0.8, 0.1), row(0.6, 0.8, 0.1), row(0.7, 0.8, 0.2), row(0.8, 0.9, 3.0)]
    assert choose(rows, 0.5) == 0.6
    assert choose(rows, 5.0) == 0.8
    assert choose(rows, 0.0) is None
