# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The streaming loss: the published one, its labels in both geometries, and no difference through batching."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from videollm_ros.data import Collator, Sample
from videollm_ros.live import LiveModel
from videollm_ros.live.template import IGNORED, DialogueTemplate
from videollm_ros.training.objective import StreamingObjective

GOLDENS = Path(__file__).parents[1] / "goldens" / "live1plus"


@pytest.fixture(scope="module")
def model():
    return LiveModel.from_pretrained(
        GOLDENS / "adapter", llm=GOLDENS / "base", vision=GOLDENS / "vision", device="cpu", dtype="float32"
    )


@pytest.fixture(scope="module")
def samples(model):
    tensors = load_file(GOLDENS / "tensors.safetensors")["vision_features"]
    result = []
    for dialogue in json.loads((GOLDENS / "expected.json").read_text())["dialogues"]:
        input_ids, labels = model.template.encode(dialogue["conversation"])
        features = tensors[dialogue["first_frame"] :][: dialogue["num_frames"]]
        result.append((Sample(input_ids, labels, features), dialogue["loss"]))
    return result


@torch.no_grad()
def test_the_loss_is_the_published_one(model, samples):
    objective, collate = StreamingObjective(model), Collator(0)
    for sample, loss in samples:
        assert float(objective(**collate([sample]))["loss"]) == pytest.approx(loss, abs=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("weight", [0.5, 3.0])
def test_the_weight_counts_for_silence_or_speak_positions_only(model, samples, weight):
    batch = Collator(0)([samples[0][0]])
    plain, weighted = StreamingObjective(model)(**batch), StreamingObjective(model, weight)(**batch)
    assert float(weighted["loss_sum"]) == pytest.approx(
        float(plain["text_sum"]) + weight * float(plain["stream_sum"]), rel=1e-5
    )
    assert float(plain["loss_sum"]) == pytest.approx(float(plain["text_sum"] + plain["stream_sum"]), rel=1e-5)


@torch.no_grad()
def test_a_padded_batch_has_the_loss_of_its_dialogues_one_by_one(model, samples):
    objective, collate = StreamingObjective(model), Collator(0)
    together = objective(**collate([sample for sample, _ in samples]))
    alone = [objective(**collate([sample])) for sample, _ in samples]
    for name in ("loss_sum", "stream_sum", "text_sum", "num_learned", "num_stream", "num_text"):
        assert float(together[name]) == pytest.approx(sum(float(one[name]) for one in alone), rel=1e-4), name


def test_padding_stands_on_the_left_and_is_not_learned(samples):
    batch = Collator(0)([sample for sample, _ in samples])
    lengths = [len(sample.input_ids) for sample, _ in samples]
    for row, length in enumerate(lengths):
        assert batch["attention_mask"][row].tolist() == [0] * (max(lengths) - length) + [1] * length
        assert (batch["labels"][row, : max(lengths) - length] == IGNORED).all()


def test_live1_labels_are_the_papers_definition(model):
    """One token a frame, silence is <eos> and is not fed back; a frame before a reply learns to close the stream."""
    config = replace(
        model.config, frame_token_cls=True, frame_token_pooled=None, frame_token_interval="", system_prompt="S"
    )
    tokenizer = model.tokenizer
    template = DialogueTemplate(config, tokenizer, model.template.frame_token_id)

    def ids(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    v, eos, none = template.frame_token_id, tokenizer.eos_token_id, IGNORED
    conversation = [
        {"role": "stream", "num_frames": 3, "learn": True},
        {"role": "assistant", "content": "A cup.", "learn": True},
        {"role": "stream", "num_frames": 2, "learn": True},
    ]
    before, reply, after = ids("S\n\n["), ids("]\nAssistant: A cup."), ids("\n[")
    input_ids, labels = template.encode(conversation)
    assert input_ids == [tokenizer.bos_token_id, *before, v, v, v, *reply, eos, *after, v, v]
    spoken = [*reply[1:], eos, none]  # after "]\n" the words, after the last word <eos>, after <eos> nothing
    # Nothing follows the last frame, so nothing says whether silence was right there.
    expected = [none] * (1 + len(before)) + [eos, eos, reply[0]] + spoken + [none] * len(after) + [eos, none]
    assert labels == expected


@pytest.mark.parametrize(("learn", "learned"), [(True, 4), (False, 0), (2, 2)])
def test_a_stream_turn_is_learned_in_full_not_at_all_or_its_first_frames(model, learn, learned):
    conversation = [
        {"role": "stream", "num_frames": 4, "learn": learn},
        {"role": "assistant", "content": "A cup.", "learn": False},
    ]
    _, labels = model.template.encode(conversation)
    assert sum(label != IGNORED for label in labels) == learned
