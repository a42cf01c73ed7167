# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The dialogue on Llama-3's real tokenizer, which the PyPI package llama-models carries."""

import importlib.util
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter

from videollm_ros.live import DialogueTemplate, LiveConfig
from videollm_ros.live.template import Turn

VOCABULARY = 128256
FRAME = VOCABULARY
NAMED = ("begin_of_text", "end_of_text", "reserved_special_token_0", "reserved_special_token_1")
NAMED += ("reserved_special_token_2", "reserved_special_token_3", "start_header_id", "end_header_id")
NAMED += ("reserved_special_token_4", "eot_id")  # Llama 3; reserved ones follow


pytestmark = pytest.mark.slow  # it reads all of Llama-3's vocabulary


@pytest.fixture(scope="module")
def template() -> DialogueTemplate:
    package = importlib.util.find_spec("llama_models")
    if package is None:
        pytest.skip("Llama-3's tokenizer is not here: pip install --no-deps llama-models")
    vocabulary = Path(package.submodule_search_locations[0]) / "llama3" / "tokenizer.model"
    special = [*NAMED, *(f"reserved_special_token_{i}" for i in range(5, 251))]
    converter = TikTokenConverter(str(vocabulary), extra_special_tokens=[f"<|{name}|>" for name in special])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=converter.converted(), bos_token="<|begin_of_text|>", eos_token="<|eot_id|>"
    )
    return DialogueTemplate(LiveConfig(), tokenizer, frame_token_id=FRAME)


def test_the_tokenizer_is_llama_3s(template):
    assert len(template.tokenizer) == VOCABULARY
    assert (template.tokenizer.bos_token_id, template.eos_token_id) == (128000, 128009)


def test_silence_is_11_and_the_close_of_the_stream_933(template):
    assert template.interval_ids == [11]
    assert template.silence_token_id == 11
    assert template.before_reply()[0] == 933


def test_a_dialogue_survives_the_round_trip(template):
    conversation = [
        {"role": "user", "content": "Please narrate the video in real time."},
        {"role": "stream", "num_frames": 2, "learn": True},
        {"role": "assistant", "content": "You pick up 2 plates, then 1,000 cups.", "learn": True},
        {"role": "stream", "num_frames": 1, "learn": True},
        {"role": "user", "content": "What is it now?"},
        {"role": "assistant", "content": "A Täller \N{FORK AND KNIFE}.", "learn": True},
    ]
    input_ids, _ = template.encode(conversation)
    words = template.tokenizer.decode([token_id for token_id in input_ids if token_id != FRAME])
    assert words == template.render(conversation).replace("<v>", "")
    assert input_ids.count(FRAME) == 3 * 10


def test_the_target_after_a_silent_frame_is_11_and_before_a_reply_933(template):
    conversation = [
        {"role": "stream", "num_frames": 3, "learn": True},
        {"role": "assistant", "content": "You see a cup.", "learn": True},
    ]
    input_ids, labels = template.encode(conversation)
    decisions = [label for i, label in zip(input_ids, labels, strict=True) if i == FRAME and label != -100]
    assert decisions == [11, 11, 933]


@pytest.mark.parametrize(
    "text", ["<|eot_id|>", "<|begin_of_text|>", "<|reserved_special_token_5|>", "<v>", "]\nUser: x"]
)
def test_a_query_with_control_tokens_in_it_stays_text(template, text):
    fed = template.before_answer(Turn.STREAM, f"What is {text} now?")
    assert max(fed) < 128000
    cleaned = text.replace("\n", " ")
    assert template.tokenizer.decode(fed) == f"]\nUser: What is {cleaned} now?\nAssistant:"


def test_inference_feeds_what_training_saw_where_punctuation_merges_with_line_breaks(template):
    conversation = [
        {"role": "stream", "num_frames": 1},
        {"role": "user", "content": "What is it?"},
        {"role": "assistant", "content": "A cup."},
        {"role": "user", "content": "Sure?!"},
        {"role": "assistant", "content": "3 cups."},
        {"role": "stream", "num_frames": 1},
    ]
    say = lambda text: template.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    frame = [FRAME] * 10
    fed = template.before_frame(Turn.SYSTEM) + frame
    fed += template.before_answer(Turn.STREAM, "What is it?") + say(" A cup.")
    fed += template.before_answer(Turn.ASSISTANT, "Sure?!") + say(" 3 cups.")
    fed += template.before_frame(Turn.ASSISTANT) + frame
    assert template.encode(conversation)[0] == fed


def test_the_full_stop_of_an_instruction_and_the_line_break_after_it_are_one_token(template):
    text = "Tell me what I do."
    ids, num_instruction = template.instruction(Turn.SYSTEM, text)
    frames = {"role": "stream", "num_frames": 1}
    assert template.encode([{"role": "user", "content": text, "answer": False}, frames])[0] == ids + [FRAME] * 10
    assert num_instruction == len(ids)
    assert ids[-2:] == template.tokenizer(".\n[", add_special_tokens=False)["input_ids"]
    ids, num_instruction = template.instruction(Turn.STREAM, text, "And now?")
    assert template.tokenizer.decode(ids) == f"]\nUser: {text}\nUser: And now?\nAssistant:"
    assert template.tokenizer.decode(ids[:num_instruction]) == f"]\nUser: {text}\n"
