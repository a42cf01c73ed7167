# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated stream as a streaming dialogue."""

import pytest

from videollm_ros.sim import Tabletop, dialogue, parse_event, replies, to_record

SEEDS = range(40)


@pytest.mark.parametrize("fps", [1.0, 2.0, 3.0, 10.0])
def test_the_stream_turns_hold_every_frame_once(fps):
    for seed in SEEDS:
        tabletop = Tabletop(seed, 60)
        turns = [message["num_frames"] for message in dialogue(tabletop, fps) if message["role"] == "stream"]
        assert sum(turns) == tabletop.num_frames(fps) == 60 * fps
        assert min(turns) > 0


def test_every_event_is_told_after_the_first_frame_that_shows_it():
    for seed in SEEDS:
        tabletop = Tabletop(seed, 60)
        told = [reply for reply in replies(tabletop) if reply.event]
        assert [reply.event for reply in told] == tabletop.events
        for reply in told:
            assert parse_event(reply.text) == reply.event.meaning
            assert 0 <= reply.frame / 2.0 - reply.event.time < 0.5


def test_a_question_follows_the_frame_at_its_time_and_is_answered_at_once():
    for seed in SEEDS:
        tabletop = Tabletop(seed, 60)
        messages = dialogue(tabletop)
        asked, frames = [], 0
        for number, message in enumerate(messages):
            if message["role"] == "stream":
                frames += message["num_frames"]
            elif message["role"] == "user":
                assert messages[number - 1]["role"] == "stream"
                asked.append(((frames - 1) / 2.0, message["content"], messages[number + 1]["content"]))
        assert asked == [(q.time, q.text, q.answer) for q in tabletop.questions]


def test_questions_keep_a_second_from_everything_that_happens():
    for seed in SEEDS:
        tabletop = Tabletop(seed, 60)
        for question in tabletop.questions:
            assert all(question.time <= event.onset - 1 or question.time >= event.time + 1 for event in tabletop.events)


def test_the_request_alone_sets_the_wording():
    starts = {"brief": ("New", "Gone", "Moved", "Picked", "Put"), "viewer": ("You",), "full": ("A ", "The ")}
    styles = set()
    for seed in SEEDS:
        style = "plain"
        for reply in replies(Tabletop(seed, 60)):
            if reply.question and reply.question.style:
                style = reply.question.style
            elif reply.event and style in starts:
                assert reply.text.startswith(starts[style])
                assert style != "full" or " has " in reply.text
        styles.add(style)
    assert styles == {"plain", "brief", "viewer", "full"}


def test_without_questions_nobody_speaks_but_the_assistant():
    messages = dialogue(Tabletop(2, 60), questions=False, tail=False)
    assert {message["role"] for message in messages} == {"stream", "assistant"}
    assert messages[-1]["role"] == "assistant"


def test_a_record_counts_the_frames_of_its_conversation():
    line = to_record(Tabletop(2, 60))
    assert line["frames"] == [0, 120] and line["conversation"] == dialogue(Tabletop(2, 60))
    shorter = to_record(Tabletop(2, 60), tail=False)
    assert shorter["frames"][1] < 120


def test_a_rate_at_which_two_things_fall_on_one_frame_is_refused():
    with pytest.raises(ValueError, match="at least 1 frame per second"):
        [dialogue(Tabletop(seed, 60), fps=0.1) for seed in range(3)]
