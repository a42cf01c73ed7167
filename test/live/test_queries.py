# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queries wait in the order of their stamps, and are tokenized once per turn."""

import math

import pytest

from videollm_ros.live import DialogueTemplate, LiveConfig
from videollm_ros.live.queries import Query, QueryQueue
from videollm_ros.live.template import Turn


@pytest.fixture
def queue():
    queue = QueryQueue()
    for name, stamp in [("c", 2.0), ("a", 1.0), ("d", 2.0), ("b", 1.5)]:
        queue.put(Query(name, stamp, name))
    return queue


def test_the_earliest_comes_first_and_equal_stamps_as_they_came(queue):
    assert queue.next_stamp == 1.0
    assert [queue.pop().text for _ in range(4)] == ["a", "b", "c", "d"]
    assert (len(queue), queue.next_stamp) == (0, math.inf)


def test_all_queries_of_an_id_are_withdrawn(queue):
    queue.put(Query("again", 9.0, "b"))
    assert queue.withdraw("b") and not queue.withdraw("b")
    assert [query.text for query in queue] == ["a", "c", "d"]


def test_clear_returns_them_in_order(queue):
    assert [query.text for query in queue.clear()] == ["a", "b", "c", "d"]
    assert len(queue) == 0


@pytest.mark.parametrize(
    ("stamps", "due"),
    [
        ([1.0, 1.5, 2.0], [True, True, True]),
        ([0.0, 0.5, 0.9], [False, False, False]),
        ([0.0, 1.2, 1.7, 3.0], [False, True, True, True]),
        ([5.0, 6.0], [True, False]),  # all of them before the first
        ([1.0, 1.0, 2.0], [True, False, True]),  # of equal stamps the first
        ([], []),
    ],
)
def test_a_query_is_due_at_the_first_frame_that_is_not_before_it(queue, stamps, due):
    assert queue.frames_due(stamps) == due


def test_a_query_is_tokenized_once_per_turn(tokenizer, monkeypatch):
    template, made = DialogueTemplate(LiveConfig(), tokenizer, 435), []
    before_answer = template.before_answer
    monkeypatch.setattr(template, "before_answer", lambda *given: made.append(given) or before_answer(*given))
    query = Query("What is it?", 0.0)
    for turn in (Turn.STREAM, Turn.STREAM, Turn.ASSISTANT, Turn.STREAM):
        assert query.ids_after(turn, template) == before_answer(turn, "What is it?")
    assert made == [(Turn.STREAM, "What is it?"), (Turn.ASSISTANT, "What is it?")]
