# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Attention in chunks is attention over the whole span, and nothing comes through a mask."""

import pytest
import torch
import torch.nn.functional as F

from videollm_ros.live.attention import CHUNK, SplitAttention, WholeAttention, additive_mask

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}


def draw(heads, kv_heads, num_tokens, span, start, dtype):
    """Queries [1, G, R, D], keys, values [1, G, S, D] and the mask [R, S], as `LlamaLayers` lays them out."""
    torch.manual_seed(0)
    rows, head_dim = heads // kv_heads * num_tokens, 64
    query = torch.randn(1, kv_heads, rows, head_dim)
    keys, values = torch.randn(2, 1, kv_heads, span + 96, head_dim)[..., :span, :]  # a view of a longer cache
    visible = torch.arange(span) <= (start + torch.arange(num_tokens))[:, None]
    return query.to(dtype), keys.to(dtype), values.to(dtype), visible.repeat(heads // kv_heads, 1)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("heads", "kv_heads"), [(8, 2), (4, 4), (4, 1)])
@pytest.mark.parametrize(
    ("num_tokens", "span"), [(11, 4 * CHUNK), (1, 2 * CHUNK), pytest.param(44, 16 * CHUNK, marks=pytest.mark.slow)]
)
def test_chunks_together_are_the_whole(dtype, heads, kv_heads, num_tokens, span):
    for start in (0, 3, CHUNK - num_tokens, CHUNK, span // 2 + 7, span - num_tokens):
        query, keys, values, visible = draw(heads, kv_heads, num_tokens, span, start, dtype)
        split = SplitAttention(visible, dtype)(query, keys, values)
        exact = F.scaled_dot_product_attention(query.double(), keys.double(), values.double(), attn_mask=visible)
        assert split.shape == exact.shape and split.dtype == dtype
        torch.testing.assert_close(split.double(), exact, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("poison", [torch.nan, torch.inf, -torch.inf])
def test_a_chunk_without_visible_keys_is_never_read(poison):
    query, keys, values, visible = draw(8, 2, 11, 4 * CHUNK, 100, torch.float32)
    attend = SplitAttention(visible, torch.float32)
    expected = attend(query, keys, values)
    keys, values = keys.clone(), values.clone()
    keys[..., CHUNK:, :], values[..., CHUNK:, :] = poison, poison
    assert torch.equal(attend(query, keys, values), expected)


def test_a_nan_among_visible_keys_is_not_hidden():
    query, keys, values, visible = draw(8, 2, 11, 4 * CHUNK, 3 * CHUNK, torch.float32)
    keys[..., CHUNK + 5, :] = torch.nan
    assert SplitAttention(visible, torch.float32)(query, keys, values).isnan().all()


def test_an_additive_mask_is_the_boolean_one():
    query, keys, values, visible = draw(8, 2, 11, CHUNK, 100, torch.float32)
    expected = F.scaled_dot_product_attention(query, keys, values, attn_mask=visible)
    torch.testing.assert_close(WholeAttention(additive_mask(visible, torch.float32))(query, keys, values), expected)
