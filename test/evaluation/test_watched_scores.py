# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of recordings with gaps, jumps back and queries of the same text."""

import pytest

from videollm_ros.evaluation.annotations import AnnotatedEvent, AnnotatedQuery
from videollm_ros.evaluation.scores.baselines import baselines, every_seconds, random_times
from videollm_ros.evaluation.scores.calibration import due_frames
from videollm_ros.evaluation.scores.figures import answers_to, count_answers, count_decisions, figures, score
from videollm_ros.evaluation.scores.judged import ScoreSettings
from videollm_ros.evaluation.scores.quiet import quiet_spans, said_in
from videollm_ros.evaluation.transcript import Decision, Said, Transcript

PLAIN = ScoreSettings()
GAP = [(0.0, 20.0), (3620.0, 3640.0)]
BACK = [(0.0, 20.0), (-40.0, -20.0)]


def answer(text, query, asked=None):
    return Said(0, 0.0, text, query, asked=asked)


# Answers.


def test_the_same_question_asked_twice_has_two_answers():
    queries = [AnnotatedQuery(5.0, "What is it?", "A cup."), AnnotatedQuery(18.0, "What is it?", "A cone.")]
    said = [answer("A cup.", "What is it?", 5.0), answer("A cone.", "What is it?", 18.0)]
    assert count_answers(said, queries, PLAIN) == {"answered": (2, 2), "answer_accuracy": (2, 2)}
    assert count_answers(said[::-1], queries[::-1], PLAIN) == {"answered": (2, 2), "answer_accuracy": (2, 2)}


@pytest.mark.parametrize("answered", [0, 1])
def test_a_question_asked_twice_and_answered_once_is_answered_once(answered):
    queries = [AnnotatedQuery(5.0, "What is it?", "A cup."), AnnotatedQuery(18.0, "What is it?", "A cup.")]
    said = [answer("A cup.", "What is it?", queries[answered].time)]
    assert count_answers(said, queries, PLAIN) == {"answered": (1, 2), "answer_accuracy": (1, 2)}
    assert [found is not None for found in answers_to(queries, said)] == [answered == 0, answered == 1]


def test_two_questions_of_one_moment_are_told_apart_by_their_words_and_then_by_their_order():
    queries = [AnnotatedQuery(5.0, "Who?", "I."), AnnotatedQuery(5.0, "What?", "A."), AnnotatedQuery(5.0, "Who?", "B.")]
    said = [answer("I.", "Who?", 5.0), answer("B.", "Who?", 5.0), answer("A.", "What?", 5.0)]
    assert [found.text for found in answers_to(queries, said)] == ["I.", "A.", "B."]


def test_an_answer_that_does_not_say_when_it_was_asked_for_goes_by_its_words():
    queries = [AnnotatedQuery(5.0, " What is  it?"), AnnotatedQuery(6.0, "What is it?")]
    assert answers_to(queries, [answer("A cup.", "What is it?")]) == [answer("A cup.", "What is it?"), None]


# What was watched.


def test_what_was_watched_is_all_of_a_recording_whose_spans_are_not_known():
    assert Transcript("x", begin=10**9, end=4 * 10**9).watched == [(0.0, 3.0)]
    transcript = Transcript("x", end=3640 * 10**9, spans=GAP)
    assert transcript.watched == GAP and transcript.seconds == 40.0


def test_an_hour_that_nobody_watched_is_not_quiet():
    events = [AnnotatedEvent(10.0, "A."), AnnotatedEvent(3620.5, "B.")]
    quiet = quiet_spans(events, GAP, 1.0)
    assert quiet == [(0.0, 9.0), (11.0, 20.0), (3621.5, 3640.0)]
    assert said_in(quiet, [0.0, 20.0, 100.0, 3620.0, 3621.5, 3640.0], GAP) == 3
    got = figures([score([Said(0, 5.0, "C.")], events, GAP, PLAIN)])
    assert got["false_per_quiet_minute"] == pytest.approx(60 / 36.5)


def test_what_is_watched_after_a_jump_back_before_the_first_image_is_quiet_too():
    """2 false utterances in 40 s less 2 s around each of 2 events."""
    events = [AnnotatedEvent(5.0, "A."), AnnotatedEvent(-30.0, "B.")]
    got = figures([score([Said(0, -25.0, "C."), Said(0, -39.0, "D.")], events, BACK, PLAIN)])
    assert got["false_per_quiet_minute"] == pytest.approx(2 / (36 / 60))


def test_an_end_that_is_watched_belongs_to_quiet_where_another_stream_goes_on():
    assert said_in(quiet_spans([], BACK, 1.0), [-40.0, -20.0, 0.0, 20.0, -10.0], BACK) == 4


@pytest.mark.parametrize("watched", [GAP, BACK])
def test_baselines_speak_only_where_something_is_watched(watched):
    events = [AnnotatedEvent(time, "A.") for time in range(5)]
    often = [said.time for said in every_seconds(events, watched, 8.0)]
    begin = watched[1][0]
    assert often == [8.0, 16.0, begin + 4, begin + 12, begin + 20]
    times = [said.time for seed in range(20) for said in random_times(events, watched, seed)]
    assert all(any(first <= time <= last for first, last in watched) for time in times)
    assert 30 < sum(time > 3600 if begin > 0 else time < 0 for time in times) < 70


def test_a_baseline_that_would_speak_for_ever_is_slowed_and_says_so():
    got = baselines([([AnnotatedEvent(5.0, "A.")], 40.0)], ScoreSettings(every_seconds=1e-6))
    assert [name for name in got if "every" in name] == ["a sentence every 0.002 s"]


# Calibration.


def test_each_stream_shows_the_events_of_its_own_time():
    back = [i / 2 for i in range(40)] + [-40 + i / 2 for i in range(40)]
    assert [back[i] for i, due in enumerate(due_frames(back, [13.096, 18.433, -30.2])) if due] == [13.5, 18.5, -30.0]


def test_a_looped_recording_shows_an_event_in_every_loop():
    times = [i / 2 for i in range(10)] * 2
    assert [i for i, due in enumerate(due_frames(times, [1.2])) if due] == [3, 13]


def test_an_event_in_a_gap_is_shown_by_no_frame():
    times = [0.0, 0.5, 1.0, 3600.0, 3600.5]
    streams = [0, 0, 0, 1, 1]
    assert not any(due_frames(times, [500.0], streams))
    assert due_frames(times, [3599.8, 0.0], streams) == [True, False, False, True, False]


def test_decisions_are_calibrated_by_their_streams():
    decisions = [Decision(0, time, stream, 0.0, 0.7, "silent") for stream, time in enumerate((0.0, 3600.0))]
    assert count_decisions(decisions, [AnnotatedEvent(500.0, "A.")])["calibration_brier"] == (0.0, 2)
