# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Long dialogues are cut on turns, fit their limits, and carry along what a session still remembers."""

import itertools
import random

import pytest

from videollm_ros.data import Dialogue, DialogueError
from videollm_ros.data.augmentation import forget_frames
from videollm_ros.data.splitting import DialogueLimits, DialogueSplitter
from videollm_ros.live.template import IGNORED


@pytest.fixture(scope="module")
def template(golden_model):
    return golden_model.template


def stream(num_frames, learn=True):
    return {"role": "stream", "num_frames": num_frames, "learn": learn}


def reply(text):
    return {"role": "assistant", "content": text, "learn": True}


def query(text, **settings):
    return {"role": "user", "content": text, **settings}


def dialogue(*conversation, start=0):
    num_frames = sum(message.get("num_frames", 0) for message in conversation)
    made = Dialogue("v", (start, start + num_frames), list(conversation))
    made.check()
    return made


def narration(lengths, start=0):
    turns = [message for number, n in enumerate(lengths) for message in (stream(n), reply(f"A red cup {number}."))]
    return dialogue(*turns, start=start)


def parts_of(template, whole, **limits):
    splitter = DialogueSplitter(template, DialogueLimits(**limits))
    return splitter, splitter.parts(whole)


def encode(template, part):
    input_ids, labels = template.encode(part.conversation)
    return forget_frames(input_ids, labels, template, part.forgotten) if part.forgotten else (input_ids, labels)


def test_a_dialogue_that_fits_is_left_as_it_is(template):
    whole = narration([3, 4])
    splitter, parts = parts_of(template, whole, max_tokens=2048, max_frames=7)
    assert parts == [(0, 7)]
    assert splitter.cut(whole, 0, 7) is whole


def test_a_long_dialogue_is_cut_after_a_reply(template):
    _, parts = parts_of(template, narration([3, 4, 5, 2, 6], start=10), max_frames=8)
    assert parts == [(10, 17), (17, 24), (24, 30)]


def test_a_turn_that_is_too_long_itself_is_cut_inside(template):
    _, parts = parts_of(template, narration([2, 20, 3]), max_frames=8)
    assert parts == [(0, 2), (2, 10), (10, 18), (18, 25)]


@pytest.mark.parametrize("seed", range(20))
def test_parts_fit_their_limits_and_show_every_frame_once(template, seed):
    rng = random.Random(seed)
    whole = narration([rng.randint(1, 30) for _ in range(rng.randint(1, 40))], start=rng.randint(0, 5))
    max_tokens = rng.choice([300, 500, 1000])
    splitter, parts = parts_of(template, whole, max_tokens=max_tokens, max_frames=rng.choice([None, 40]))
    assert [parts[0][0], parts[-1][1]] == list(whole.frames)
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(parts))
    for start, stop in parts:
        part = splitter.cut(whole, start, stop)
        part.check()
        input_ids, _ = encode(template, part)
        assert len(input_ids) <= max_tokens
        assert input_ids.count(template.frame_token_id) == (stop - start) * template.config.frame_num_tokens


def test_every_reply_is_learned_in_exactly_one_part(template):
    whole = narration([3, 9, 4, 5, 2, 6, 7])
    splitter, parts = parts_of(template, whole, max_frames=10)
    learned = 0
    for start, stop in parts:
        _, labels = encode(template, splitter.cut(whole, start, stop))
        learned += sum(label == template.eos_token_id for label in labels)
    assert len(parts) > 2
    assert learned == 7


def test_what_was_said_is_carried_along_and_not_learned(template):
    whole = dialogue(query("Narrate."), reply("Yes."), stream(4), reply("A red cup."), stream(4), reply("A ball."))
    splitter, parts = parts_of(template, whole, max_frames=4)
    assert parts == [(0, 4), (4, 8)]
    last = splitter.cut(whole, 4, 8)
    input_ids, labels = encode(template, last)
    text = template.tokenizer.decode([token for token in input_ids if token != template.frame_token_id])
    assert all(said in text for said in ("Narrate.", "Yes.", "A red cup.", "A ball."))
    first_frame = input_ids.index(template.frame_token_id)
    assert all(label == IGNORED for label in labels[:first_frame])


def test_the_oldest_text_goes_first_when_it_exceeds_its_share(template):
    whole = narration([4] * 40)
    splitter, parts = parts_of(template, whole, max_tokens=400)
    part = splitter.cut(whole, *parts[-1])
    carried = [m["content"] for m in part.conversation if m["role"] == "assistant"]
    assert carried[-1] == "A red cup 39."
    assert 2 < len(carried) < 20
    assert carried == [f"A red cup {number}." for number in range(40 - len(carried), 40)]


def test_text_has_the_share_that_a_session_gives_it():
    assert DialogueLimits(max_tokens=400).max_text_tokens == 100
    assert DialogueLimits().max_text_tokens is None


def test_a_standing_instruction_is_never_forgotten(template):
    whole = dialogue(query("Tell me what I do.", answer=False), *narration([4] * 40).conversation)
    splitter, parts = parts_of(template, whole, max_tokens=400)
    assert len(parts) > 3
    for start, stop in parts:
        part = splitter.cut(whole, start, stop)
        assert part.conversation[0] == query("Tell me what I do.", answer=False)


def test_a_question_and_its_answer_are_forgotten_together(template):
    turns = [message for n in range(40) for message in (stream(4), query(f"Where {n}?"), reply(f"There {n}."))]
    whole = dialogue(*turns)
    splitter, parts = parts_of(template, whole, max_tokens=400)
    for start, stop in parts:
        conversation = splitter.cut(whole, start, stop).conversation
        assert all(
            conversation[number - 1]["content"] == message["content"].replace("There", "Where").replace(".", "?")
            for number, message in enumerate(conversation)
            if message["role"] == "assistant"
        )


def test_the_learned_frames_of_a_turn_that_is_cut_stay_the_learned_ones(template):
    whole = dialogue(stream(10, learn=6), reply("A cup."), stream(2))
    splitter, parts = parts_of(template, whole, max_frames=4)
    learned = [splitter.cut(whole, *part).conversation for part in parts]
    assert parts == [(0, 4), (4, 8), (8, 12)]
    turns = [[m.get("learn") for m in conversation if m["role"] == "stream"] for conversation in learned]
    assert turns == [[True], [False, 2], [False, False, True]]


def test_text_that_cannot_fit_is_an_error(template):
    with pytest.raises(DialogueError, match=r"frame 1 with the text that belongs to it has \d+ tokens"):
        parts_of(template, dialogue(stream(2), reply("cup " * 500)), max_tokens=300)


def test_a_dialogue_without_frames_is_one_part(template):
    whole = dialogue(query("Who are you?"), reply("Your eyes."))
    assert parts_of(template, whole, max_tokens=100, max_frames=3)[1] == [(0, 0)]
