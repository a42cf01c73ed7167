# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Changed dialogues and labels: corrupted replies, a share of the silence, forgotten frames, the paper's baselines."""

import random
from pathlib import Path

import pytest

from videollm_ros.data.augmentation import corrupt_reply, forget_frames, keep_silence
from videollm_ros.data.baselines import NOTHING_NEW, interleaved_labels, per_frame_dialogue
from videollm_ros.data.dialogues import count_frames
from videollm_ros.live import DialogueTemplate, LiveConfig
from videollm_ros.live.checkpoint import load_tokenizer
from videollm_ros.live.template import IGNORED

BASE = Path(__file__).parents[1] / "goldens" / "live1plus" / "base"
FRAME = 100_000


@pytest.fixture(scope="module", params=["live1", "live1+"])
def template(request):
    geometry = {"frame_token_pooled": None, "frame_token_interval": ""} if request.param == "live1" else {}
    return DialogueTemplate(LiveConfig(**geometry, system_prompt="S"), load_tokenizer(BASE), FRAME)


def stream(num_frames, learn=True):
    return {"role": "stream", "num_frames": num_frames, "learn": learn}


def reply(text, learn=True):
    return {"role": "assistant", "content": text, "learn": learn}


CONVERSATION = [stream(3), reply("A cup."), stream(4), reply("A ball."), stream(2), reply("A cone."), stream(2)]


@pytest.mark.parametrize("seed", range(40))
def test_a_corrupted_reply_is_never_learned_and_no_frame_is_lost(seed):
    broken = corrupt_reply(CONVERSATION, random.Random(seed))
    assert broken != CONVERSATION
    assert count_frames(broken) == count_frames(CONVERSATION)
    right = {"A cup.", "A ball.", "A cone."}
    learned = [message["content"] for message in broken if message["role"] == "assistant" and message["learn"]]
    assert set(learned) <= right
    assert len(learned) == len(set(learned))


def test_a_reply_is_dropped_replaced_or_corrected_a_frame_later():
    kinds = set()
    for seed in range(60):
        broken = corrupt_reply(CONVERSATION, random.Random(seed))
        texts = [message["content"] for message in broken if message["role"] == "assistant"]
        kinds.add("dropped" if len(texts) < 3 else "replaced" if len(texts) == 3 else "corrected")
        if kinds and len(texts) > 3:
            wrong = next(i for i, m in enumerate(broken) if m["role"] == "assistant" and not m["learn"])
            assert broken[wrong + 1] == stream(1)
            assert broken[wrong + 2]["learn"]
        if len(texts) == 3:
            wrong = next(i for i, m in enumerate(broken) if m["role"] == "assistant" and not m["learn"])
            assert not any(message["learn"] for message in broken[wrong:])
    assert kinds == {"dropped", "replaced", "corrected"}


def test_the_frame_before_a_corrupted_reply_is_not_learned():
    for seed in range(20):
        broken = corrupt_reply([stream(3), reply("A cup."), stream(2)], random.Random(seed))
        assert broken[0]["learn"] == 2


def test_a_share_of_the_silent_frames_is_learned_and_all_of_the_rest(template):
    input_ids, labels = template.encode([stream(2000), reply("A cup.")])
    kept = keep_silence(input_ids, labels, template, 0.1, random.Random(0))
    silent = [new for old, new in zip(labels, kept, strict=True) if old == template.silence_token_id]
    spoken = [(o, n) for o, n in zip(labels, kept, strict=True) if o not in (template.silence_token_id, IGNORED)]
    assert 150 < sum(label != IGNORED for label in silent) < 250
    assert all(old == new for old, new in spoken)


def test_forgotten_frames_leave_what_a_bounded_context_holds(template):
    input_ids, labels = template.encode(CONVERSATION)
    forgotten_ids, forgotten_labels = forget_frames(input_ids, labels, template, 5)
    tokens = template.config.frame_num_tokens
    assert forgotten_ids.count(FRAME) == (11 - 5) * tokens
    text = [token for token in forgotten_ids if token != FRAME]
    # Each forgotten frame that a silent one follows takes its interval with it: two of the first turn, two of the next.
    assert len(text) == len([token for token in input_ids if token != FRAME]) - 4 * len(template.interval_ids)
    first_kept = forgotten_ids.index(FRAME)
    assert all(label == IGNORED for label in forgotten_labels[:first_kept])
    kept_at = [position for position, token in enumerate(input_ids) if token == FRAME][5 * tokens]
    assert forgotten_ids[first_kept:] == input_ids[kept_at:]
    assert forgotten_labels[first_kept:] == labels[kept_at:]


def test_in_the_per_frame_dialogue_every_frame_is_answered():
    conversation = [stream(2), reply("A cup."), stream(1), {"role": "user", "content": "Q?"}, reply("A."), stream(2)]
    texts = [m.get("content", m["role"]) for m in per_frame_dialogue(conversation)]
    nothing = ["stream", NOTHING_NEW]
    assert texts == [*nothing, "stream", "A cup.", "stream", "Q?", "A.", *nothing, *nothing]


def test_in_the_per_frame_dialogue_the_first_frames_of_a_turn_may_be_learned_alone():
    turn = {"role": "stream", "num_frames": 3, "learn": 2}
    messages = per_frame_dialogue([turn, {"role": "assistant", "content": "A cup.", "learn": True}])
    assert [message["learn"] for message in messages] == [True, True, True, True, False, True]


def test_in_the_interleaved_dialogue_silence_is_not_learned_and_replies_are(template):
    input_ids, labels = template.encode(CONVERSATION)
    interleaved = interleaved_labels(input_ids, labels, template)
    changed = [old for old, new in zip(labels, interleaved, strict=True) if old != new]
    assert set(changed) == {template.silence_token_id}
    assert len(changed) == (2 + 3 + 1 + 1)
