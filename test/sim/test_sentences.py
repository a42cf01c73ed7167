# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is said about a simulated stream, and what it means."""

import pytest

from videollm_ros.sim import STYLES, Item, Tabletop, answer_is_right, event_text, matches, parse_event, vocabulary
from videollm_ros.sim.answers import parse_answer
from videollm_ros.sim.world import COLOURS, KINDS, SHAPES

STREAMS = [Tabletop(seed, 60) for seed in range(60)]


@pytest.mark.parametrize("style", [*STYLES, "past"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_wording_of_an_event_parses_back_to_its_meaning(kind, style):
    for colour in COLOURS:
        for shape in SHAPES:
            assert parse_event(event_text(kind, Item(colour, shape), style)) == (kind, colour, shape)


def test_an_event_has_several_wordings():
    assert all(len({event_text(kind, Item("red", "cup"), style) for style in STYLES}) == 4 for kind in KINDS)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("the robot LIFTED the red\n cup", ("pick", "red", "cup")),
        ("Somebody has taken away the blue ball", ("remove", "blue", "ball")),
        ("The red cup was put down and the blue ball appeared.", None),
        ("The red cup and the blue ball moved.", None),
        ("A red cup appears and disappears.", None),
        ("A cup appears.", None),
        ("A red cup.", None),
        ("", None),
    ],
)
def test_other_wordings_are_understood_when_they_say_one_thing(text, meaning):
    assert parse_event(text) == meaning


def test_an_utterance_says_an_event_only_with_the_right_kind_colour_and_shape():
    event = next(event for event in STREAMS[0].events if event.kind == "appear")
    assert matches(event.text, event)
    other = "red" if event.item.colour != "red" else "blue"
    assert not matches(event_text("appear", Item(other, event.item.shape)), event)
    assert not matches(event_text("remove", event.item), event)


def test_an_unknown_kind_or_style_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="plain, brief, full, viewer"):
        event_text("appear", Item("red", "cup"), "rude")


def test_every_answer_is_right_for_its_question_and_wrong_for_one_that_means_something_else():
    questions = [question for stream in STREAMS for question in stream.questions]
    assert {question.kind for question in questions} == {
        *("table", "holding", "gripper", "event", "count", "check", "colour", "where")
    }
    for question in questions:
        assert answer_is_right(question, question.answer)
        for other in questions:
            if other.kind == question.kind and other.meaning != question.meaning:
                assert not answer_is_right(question, other.answer), (question, other.answer)


def test_answers_tell_the_state_of_the_scene():
    for stream in STREAMS:
        for question in stream.questions:
            state = stream.state(question.time)
            if question.kind == "table":
                assert question.meaning == set(state.on_table)
            elif question.kind == "count" and "table" in question.text:
                assert question.meaning == len(state.on_table)
            elif question.kind == "count":
                colour = question.text.split()[2]
                assert question.meaning == sum(item.colour == colour for item in state.visible)
            elif question.kind == "event":
                past = [event for event in stream.events if event.time < question.time]
                assert question.meaning == (past[-1].meaning if past else "nothing")


@pytest.mark.parametrize(
    ("kind", "text", "meaning"),
    [
        ("table", "I see a blue ball and a red cup", {Item("red", "cup"), Item("blue", "ball")}),
        ("table", "The table is empty.", frozenset()),
        ("table", "Hello.", None),
        ("count", "2", 2),
        ("count", "One or two.", None),
        ("check", "No, there is no red cup.", False),
        ("check", "A red cup.", None),
        ("colour", "red or blue", None),
        ("where", "It is in the centre.", "middle"),
        ("holding", "Nothing at all.", "nothing"),
    ],
)
def test_answers_are_understood_in_other_wordings(kind, text, meaning):
    assert parse_answer(kind, text) == meaning


def test_the_vocabulary_holds_every_word_that_is_said():
    words = set(vocabulary())
    for stream in STREAMS:
        for text in [q.text for q in stream.questions] + [q.answer for q in stream.questions]:
            assert {word.strip(".,?:") for word in text.split()} <= words
