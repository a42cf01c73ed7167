# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every score against cases worked by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videollm_ros.evaluation.annotations import AnnotatedEvent, AnnotatedQuery
from videollm_ros.evaluation.report.page import LABELS
from videollm_ros.evaluation.scores.alerting import alerting
from videollm_ros.evaluation.scores.assignment import assign
from videollm_ros.evaluation.scores.baselines import baselines, every_seconds
from videollm_ros.evaluation.scores.calibration import calibration, due_frames
from videollm_ros.evaluation.scores.figures import Counts, count_answers, figures, intervals, score
from videollm_ros.evaluation.scores.intervals import difference_interval, interval
from videollm_ros.evaluation.scores.judged import ScoreSettings, judge
from videollm_ros.evaluation.scores.pauc import pauc
from videollm_ros.evaluation.scores.quiet import quiet_spans, said_in
from videollm_ros.evaluation.scores.words import ExactMatcher, SimulatorMatcher, normalize
from videollm_ros.evaluation.transcript import Said

PLAIN = ScoreSettings()
PARSED = ScoreSettings(matcher=SimulatorMatcher())


def said(*pairs):
    return [Said(round(time * 1e9), time, text) for time, text in pairs]


def happened(*pairs):
    return [AnnotatedEvent(time, text) for time, text in pairs]


def outcomes(utterances, events, settings=PLAIN):
    return [judgment.outcome for judgment in judge(utterances, events, settings).judgments]


def score_one(utterances, events, seconds=60.0, settings=PLAIN):
    return figures([score(utterances, events, seconds, settings)])


# Events.


def test_a_right_utterance_in_time_is_matched_whatever_its_case_and_final_punctuation():
    got = score_one(said((10.5, "a cup  APPEARS")), happened((10.0, "A cup appears.")))
    assert got["event_f1"] == got["event_precision"] == got["event_recall"] == 1.0
    assert got["mean_time_difference"] == got["median_time_difference"] == 0.5
    assert got["false_per_quiet_minute"] == 0.0


@pytest.mark.parametrize(
    ("time", "outcome"),
    [(8.9, "early"), (9.0, "matched"), (11.0, "matched"), (11.1, "late"), (15.0, "late"), (15.1, "false")],
)
def test_the_tolerance_includes_its_ends_and_what_is_beyond_is_early_or_late(time, outcome):
    assert outcomes(said((time, "A.")), happened((10.0, "A."))) == [outcome]


def test_an_event_that_nobody_tells_is_missed():
    got = score_one([], happened((10.0, "A."), (20.0, "B.")))
    assert got["event_f1"] == got["event_recall"] == 0.0
    assert got["event_precision"] is None and got["mean_time_difference"] is None


def test_an_event_told_twice_counts_once_and_the_second_is_a_repeat():
    utterances, events = said((10.0, "A."), (10.5, "A.")), happened((10.0, "A."))
    assert outcomes(utterances, events) == ["matched", "repeated"]
    got = score_one(utterances, events)
    assert got["event_precision"] == 0.5 and got["event_recall"] == 1.0 and got["event_f1"] == pytest.approx(2 / 3)
    assert got["repeat_rate"] == 0.5


def test_the_same_words_after_a_while_are_no_repeat():
    assert outcomes(said((10.0, "A."), (15.1, "A.")), happened((10.0, "A."))) == ["matched", "false"]


def test_two_equal_events_within_one_tolerance_are_each_told_once():
    """The nearest first would take 10.6 for the first event and leave the second untold."""
    utterances, events = said((10.6, "A."), (11.5, "A.")), happened((10.0, "A."), (10.8, "A."))
    judged = judge(utterances, events, PLAIN)
    assert judged.pairs == [(0, 0), (1, 1)]


def test_nothing_said_and_nothing_happened_has_no_ratio_but_is_quiet():
    got = score_one([], [])
    assert got["event_f1"] is None and got["pauc"] is None
    assert got["false_per_quiet_minute"] == 0.0


def test_speech_where_nothing_happens_is_false_per_quiet_minute():
    """60 s less 9 to 11 s are 58 s of quiet. Two of three utterances lie in them."""
    got = score_one(said((5.0, "A."), (10.0, "B."), (30.0, "C.")), happened((10.0, "A.")), seconds=60.0)
    assert got["false_per_quiet_minute"] == pytest.approx(2 / (58 / 60))


def test_quiet_is_further_than_the_tolerance_from_every_event_and_its_end():
    events = [AnnotatedEvent(5.0, "A."), AnnotatedEvent(6.5, "B.", 20.0), AnnotatedEvent(59.5, "C.")]
    spans = quiet_spans(events, 60.0, 1.0)
    assert spans == [(0.0, 4.0), (21.0, 58.5)]
    assert [said_in(spans, [time], 60.0) for time in (0.0, 3.9, 4.0, 7.0, 21.0, 21.1, 58.5)] == [1, 1, 0, 0, 0, 1, 0]
    assert quiet_spans([], 10.0, 1.0) == [(0.0, 10.0)] and said_in([(0.0, 10.0)], [10.0], 10.0) == 1


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("The gripper lifts the red cup.", "matched"),
        ("The gripper picks up the blue cup.", "wrong_object"),
        ("The red cup moves.", "wrong_action"),
        ("The blue cone moves.", "wrong_words"),
        ("I see nothing.", "wrong_words"),
    ],
)
def test_the_simulators_parser_tells_what_is_wrong(text, outcome):
    assert outcomes(said((10.0, text)), happened((10.2, "The gripper picks up the red cup.")), PARSED) == [outcome]


def test_annotations_that_the_simulators_parser_does_not_know_are_an_error():
    with pytest.raises(ValueError, match="is no event of the simulator"):
        judge(said((10.0, "A.")), happened((10.0, "Somebody comes in.")), PARSED)


def test_answers_are_counted_apart():
    utterances = [Said(0, 1.0, "A red cup.", query="What is it?"), Said(0, 2.0, "Two.", query="How many?")]
    queries = [
        AnnotatedQuery(1.0, "What is it?", "a red cup"),
        AnnotatedQuery(2.0, "How many?"),
        AnnotatedQuery(3.0, "Who?"),
    ]
    parts = count_answers(utterances, queries, PLAIN)
    assert parts == {"answered": (2, 3), "answer_accuracy": (1, 1)}


@given(
    st.lists(st.tuples(st.floats(0, 20), st.sampled_from("AB")), max_size=5),
    st.lists(st.tuples(st.floats(0, 20), st.sampled_from("AB")), max_size=5),
)
def test_the_pairing_is_the_best_of_all_pairings(utterances, events):
    judged = judge(said(*utterances), happened(*events), PLAIN)
    allowed = (np.abs(judged.lateness) <= 1) & (judged.grades == 2)
    best = (0, 0.0)
    rows, columns = allowed.shape
    for chosen in itertools.product([*range(columns), None], repeat=rows):
        taken = [(u, e) for u, e in enumerate(chosen) if e is not None]
        if len({e for _, e in taken}) == len(taken) and all(allowed[pair] for pair in taken):
            best = max(best, (len(taken), -sum(abs(judged.lateness[pair]) for pair in taken)))
    assert len(judged.pairs) == best[0]
    assert sum(abs(judged.lateness[pair]) for pair in judged.pairs) == pytest.approx(-best[1])


def test_every_utterance_has_one_outcome_and_every_event_at_most_one_utterance():
    counted = score(
        said((1, "A."), (2, "B."), (2.1, "B."), (9, "C.")), happened((1, "A."), (2, "X."), (5, "C.")), 60, PLAIN
    )
    kinds = ("matched", "late", "early", "repeated", "wrong_words", "wrong_object", "wrong_action", "false")
    assert sum(counted.totals[kind] for kind in kinds) == counted.totals["utterances"] == 4
    assert counted.totals["missed"] + counted.totals["matched"] == counted.totals["events"] == 3
    assert [counted.totals[kind] for kind in ("matched", "wrong_words", "repeated", "late")] == [1, 1, 1, 1]


def test_assignment_prefers_more_pairs_to_cheaper_ones():
    costs = np.array([[0.0, 0.9], [0.9, 5.0]])
    assert assign(costs, np.array([[True, True], [True, False]])) == [(0, 1), (1, 0)]
    assert assign(np.zeros((0, 3)), np.zeros((0, 3), bool)) == []


def test_only_final_punctuation_and_case_are_forgiven():
    assert normalize(" Two  cups, red!?  ") == "two cups, red" != normalize("Two cups red.")


# PAUC.


@pytest.mark.parametrize(
    ("replies", "value"),
    [
        ([], 0.25),
        ([(10.0, "a", 2)], 1.0),
        ([(20.0, "a", 2)], (0.5 * 5 + 2 * 5) / 20),  # at the very end: half the time is lost
        ([(15.0, "a", 2)], (0.5 * 2.5 + 2 * 7.5) / 20),
        ([(10.0, "a", 0)], 0.0),
        ([(10.0, "a", 1)], 0.5),
        ([(10.0, "a", 0), (14.0, "b", 2)], 2 * 8 / 20),
        ([(10.0, "a", 2), (14.0, "a", 0)], 1.0),  # the same text again does not count
        ([(9.9, "a", 0), (20.1, "b", 0)], 0.25),  # outside the span
    ],
)
def test_pauc_of_cases_worked_by_hand(replies, value):
    assert pauc(replies, (10.0, 20.0)) == pytest.approx(value)


def test_the_weight_of_time_can_be_none_or_all():
    late = [(20.0, "a", 2)]
    assert pauc(late, (10.0, 20.0), time_weight=1.0) == 1.0
    assert pauc(late, (10.0, 20.0), time_weight=0.0) == 0.25
    with pytest.raises(ValueError, match="ends after its beginning"):
        pauc([], (1.0, 1.0))


def test_pauc_of_a_recording_takes_the_events_end_or_two_seconds():
    events = [AnnotatedEvent(10.0, "A.", 20.0), AnnotatedEvent(30.0, "B.")]
    got = score_one(said((15.0, "A."), (31.0, "B.")), events)
    assert got["pauc"] == pytest.approx(((0.5 * 2.5 + 2 * 7.5) / 20 + (0.5 * 0.5 + 2 * 1.5) / 4) / 2)
    assert score_one([], events)["pauc"] == 0.25
    assert score_one(said((10.0, "A."), (30.0, "B.")), events)["pauc"] == 1.0


# Alerting, calibration.


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        ([], (0, 0, 0)),
        ([12.0], (1, 1, 0)),
        ([12.0, 17.0], (1, 1, 0.5)),
        ([8.0, 12.0], (0, 0.5, 2 / 12)),
        ([15.0, 25.0], (1, 0.5, 5 / 15)),
        ([30.0], (0, 0, 0)),
    ],
)
def test_alerting_of_cases_worked_by_hand(alerts, expected):
    got = alerting(alerts, (10.0, 20.0))
    assert (got.accuracy, got.share_inside, got.iou) == pytest.approx(expected)


def test_calibration_of_cases_worked_by_hand():
    assert calibration([], []) is None
    perfect = calibration([0.0, 1.0], [False, True])
    assert (perfect.brier, perfect.expected_error) == (0.0, 0.0)
    half = calibration([0.85, 0.85, 0.85, 0.85], [True, False, True, False])
    assert half.brier == pytest.approx((0.15**2 + 0.85**2) / 2)
    assert half.expected_error == pytest.approx(0.35)
    assert half.bins == [{"probability": pytest.approx(0.85), "share": 0.5, "frames": 4}]


def test_the_first_frame_that_shows_an_event_is_due():
    assert due_frames([0.0, 0.5, 1.0, 1.5], [0.5, 1.2, 9.0]) == [False, True, False, True]


# Intervals and baselines.


def test_under_five_recordings_there_is_no_interval():
    assert interval([(1, 2)] * 4) is None
    low, high = interval([(1, 2), (2, 2), (0, 2), (1, 2), (2, 2), (1, 2)])
    assert 0 < low < 7 / 12 < high < 1


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        low, high = interval([(rng.binomial(20, 0.7), 20) for _ in range(20)])
        covered += low <= 0.7 <= high
    assert 50 <= covered <= 60


def test_a_paired_difference_is_surer_than_its_parts():
    rng = np.random.default_rng(0)
    first = [(int(hits), 20) for hits in rng.integers(4, 17, 12)]
    second = [(hits + 2, 20) for hits, _ in first]
    low, high = difference_interval(first, second)
    assert low == pytest.approx(0.1) and high == pytest.approx(0.1)
    assert np.diff(interval(first))[0] > 0.1


def test_a_long_recording_weighs_more_than_a_short_one():
    counted = [Counts({"event_recall": (9, 10)}, [0.1]), Counts({"event_recall": (0, 90)}, [-0.3, 0.5])]
    got = figures(counted)
    assert got["event_recall"] == 0.09 and got["median_time_difference"] == 0.3
    assert intervals(counted) == {}


def test_the_trivial_baselines_score_as_they_should():
    events = happened((10.0, "A."), (20.0, "B."), (40.0, "A."))
    got = baselines([(events, 60.0)], PLAIN)
    assert got["silence"]["pauc"] == 0.25 and got["silence"]["event_recall"] == 0.0
    assert [each.time for each in every_seconds(events, 60.0, 10.0)] == [10, 20, 30, 40, 50, 60]
    often = got["a sentence every 10 s"]
    assert often["event_recall"] == pytest.approx(2 / 3) and often["event_precision"] == pytest.approx(2 / 6)
    random = got["right sentences at random times"]
    assert 0 < random["event_recall"] < 0.3 and random["false_per_quiet_minute"] > 1
    assert baselines([(events, 60.0)], PLAIN) == got


def test_settings_that_make_no_sense_are_an_error():
    for wrong in ({"tolerance": -1.0}, {"reply_seconds": 0.0}, {"late_seconds": float("nan")}):
        with pytest.raises(ValueError, match="is a number of seconds"):
            ScoreSettings(**wrong)


def test_a_matcher_grades_every_pair_once():
    assert ExactMatcher().grades(["a", "B!"], ["b", "A", "c"], np.ones((2, 3), bool)).tolist() == [[0, 2, 0], [2, 0, 0]]
    assert ExactMatcher().grades([], ["b"], np.ones((0, 1), bool)).shape == (0, 1)


def test_every_figure_has_a_label_in_the_report():
    assert score_one([], []).keys() <= LABELS.keys()
