# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What counts as saying the right thing at the right moment."""

import pytest

from videollm_ros.evaluation import score_stream
from videollm_ros.live import Utterance
from videollm_ros.sim import Event, Item, Question

CUP, BALL = Item("red", "cup"), Item("blue", "ball")


def happened(time, kind="appear", item=CUP):
    return Event(time, kind, item, time - 0.3, "")


def said(stamp, text, query=None, query_id=""):
    return Utterance(text, stamp, query, 1.0, (), False, query_id)


def figures(utterances, events, questions=(), seconds=60.0):
    return score_stream(utterances, events, questions, seconds).figures()


def test_the_right_words_within_a_second_are_a_match():
    result = figures([said(10.5, "A red cup appears.")], [happened(10.0)])
    assert result["event_f1"] == 1.0
    assert result["mean_time_difference"] == 0.5


@pytest.mark.parametrize("late", [said(11.5, "A red cup appears."), said(8.5, "A red cup appears.")])
def test_the_right_words_more_than_a_second_off_are_no_match(late):
    assert figures([late], [happened(10.0)])["event_f1"] == 0.0


@pytest.mark.parametrize("text", ["A blue cup appears.", "The red cup moves.", "Something happened."])
def test_other_words_are_no_match(text):
    assert figures([said(10.5, text)], [happened(10.0)])["event_f1"] == 0.0


def test_saying_it_twice_costs_precision_and_counts_as_a_repeat():
    twice = [said(10.5, "A red cup appears."), said(11.0, "New: red cup.")]
    result = figures(twice, [happened(10.0)])
    assert result["event_precision"] == 0.5
    assert result["event_recall"] == 1.0
    assert result["repeats_per_event"] == 1.0


def test_each_event_is_matched_by_its_nearest_utterance():
    events = [happened(10.0), happened(11.0, "move")]
    result = figures([said(10.5, "A red cup appears."), said(11.5, "The red cup moves.")], events)
    assert result["event_f1"] == 1.0
    assert result["mean_time_difference"] == 0.5


def test_speech_in_a_quiet_stretch_is_false():
    result = figures([said(30.0, "A blue ball appears.")], [happened(10.0)])
    # 9.7 s before the event's onset and 49 s from a second after it.
    assert result["false_per_quiet_minute"] == pytest.approx(60 / 58.7)


def test_a_wrong_sentence_at_an_event_is_not_false_in_the_quiet():
    assert figures([said(10.5, "A blue ball appears.")], [happened(10.0)])["false_per_quiet_minute"] == 0.0


def test_answers_are_judged_by_meaning_and_do_not_count_as_utterances():
    questions = [
        Question(5.0, "How many objects are on the table?", "count", 1, "One."),
        Question(9.0, "Is there a red cup?", "check", True, "Yes."),
    ]
    answers = [said(5.0, "There is one object.", "How many?", "0"), said(9.0, "No.", "Is there?", "1")]
    result = figures(answers, [], questions)
    assert result["answer_accuracy"] == 0.5
    assert (result["answer_accuracy_count"], result["answer_accuracy_check"]) == (1.0, 0.0)
    assert result["event_precision"] is None


def test_a_question_without_an_answer_is_wrong():
    question = Question(5.0, "Is there a red cup?", "check", True, "Yes.")
    assert figures([], [], [question])["answer_accuracy"] == 0.0
