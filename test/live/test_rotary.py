# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keys move to the positions they are rotated to, and decoders whose keys cannot move are refused."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from videollm_ros.live.rotary import Rotary


@pytest.fixture
def rotary(random_llm):
    return Rotary(random_llm())


def test_a_move_and_its_way_back_leave_a_key_as_it_was(rotary):
    keys = torch.randn(2, 5, 8)
    old, new = torch.tensor([3, 7, 9, 20, 800]), torch.tensor([0, 1, 2, 3, 4])
    moved = keys.clone()
    rotary.rotate_(moved, rotary.delta_rotation(old, new))
    assert not torch.allclose(moved, keys, atol=1e-2)
    rotary.rotate_(moved, rotary.delta_rotation(new, old))
    torch.testing.assert_close(moved, keys, atol=1e-5, rtol=1e-5)


def test_a_rotation_depends_on_the_distance_and_its_sign(rotary):
    here, there = torch.tensor([5]), torch.tensor([12])
    cos, sin = rotary.delta_rotation(here, there)
    back_cos, back_sin = rotary.delta_rotation(there, here)
    torch.testing.assert_close((cos, sin), (back_cos, -back_sin))
    angle = 7 * rotary.inv_freq[None]
    torch.testing.assert_close((cos, sin), (angle.cos(), angle.sin()), atol=1e-5, rtol=1e-5)


def test_dimensions_beyond_the_rotary_ones_stay(rotary):
    keys = torch.randn(1, 12)
    moved = keys.clone()
    rotary.rotate_(moved, rotary.delta_rotation(torch.tensor([0]), torch.tensor([9])))
    assert torch.equal(moved[:, 8:], keys[:, 8:]) and not torch.equal(moved[:, :8], keys[:, :8])


@pytest.mark.parametrize("rope_type", ["dynamic", "longrope"])
def test_frequencies_that_change_with_the_length_are_refused(random_llm, rope_type):
    llm = random_llm(LlamaForCausalLM, LlamaConfig)
    llm.model.rotary_emb.rope_type = rope_type
    with pytest.raises(ValueError, match=f"{rope_type} RoPE"):
        Rotary(llm)


def test_a_decoder_that_pairs_neighbors_is_refused(random_llm, monkeypatch):
    def neighbors(q, k, cos, sin, **_):
        pairs = k.unflatten(-1, (-1, 2))
        turned = torch.stack((-pairs[..., 1], pairs[..., 0]), -1).flatten(-2)
        return q, k * cos[:, None] + turned * sin[:, None]

    monkeypatch.setattr("transformers.models.llama.modeling_llama.apply_rotary_pos_emb", neighbors)
    with pytest.raises(ValueError, match="does not rotate halves"):
        Rotary(random_llm())
