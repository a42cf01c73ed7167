# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run the layers of the Llama family over a preallocated cache, with nothing that streaming inference does not need.

The weights are those of a transformers model (Llama, Mistral, Qwen2, Qwen3). Building `LlamaLayers` changes that model
once: query, key and value weights, and gate and up weights, move into one tensor each, so that one matrix product
serves them. The model's own modules keep working, on views of these tensors, and can still be saved. Weights that are
quantized or that learn stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from videollm_ros.live.cache import StreamCache

FAMILY = ("llama", "mistral", "qwen2", "qwen3")


class _Linear(NamedTuple):
    """A linear map, called as a function because calling a module costs as much as a small product."""

    weight: Tensor
    bias: Tensor | None
    transposed: Tensor | None
    """The weight transposed, if there is no bias and it is not quantized."""

    def __call__(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.weight, self.bias)

    def add_residual(self, residual: Tensor, hidden: Tensor) -> Tensor:
        """Add this map of `hidden` to the residual stream in place, in one kernel where possible."""
        if self.transposed is None:
            return residual.add_(self(hidden))
        return residual.addmm_(hidden, self.transposed)


class _Norm(NamedTuple):
    """Normalize by the root mean square, in one kernel."""

    weight: Tensor
    epsilon: float

    def __call__(self, hidden: Tensor) -> Tensor:
        return torch.rms_norm(hidden, self.weight.shape, self.weight, self.epsilon)


class _CpuNorm(NamedTuple):
    """Normalize on a CPU, where PyTorch's own takes six kernels: x w sqrt(d) / hypot(|x|, sqrt(d epsilon))."""

    scaled_weight: Tensor
    offset: Tensor

    def __call__(self, hidden: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True)
        return hidden * self.scaled_weight / torch.hypot(length, self.offset)


@dataclass(frozen=True)
class _Layer:
    """One decoder layer."""

    input_norm: _Norm | _CpuNorm
    qkv: tuple[_Linear, ...]
    query_key_norms: tuple[_Norm | _CpuNorm, _Norm | _CpuNorm] | None
    output: _Linear
    post_norm: _Norm | _CpuNorm
    gate_up: tuple[_Linear, ...]
    activation: Callable[[Tensor], Tensor]
    down: _Linear


class LlamaLayers:
    """Run all layers of a decoder.

    Shape letters: M tokens read now, S span of the cache attended to, H heads, G kv heads, D head size, d model width.
    """

    def __init__(self, llm: PreTrainedModel, max_positions: int) -> None:
        """Take the weights of a decoder and compute its rotary tables.

        Args:
            llm: a decoder whose `config.model_type` is in `FAMILY`. Its linear layers are fused (see the module).
            max_positions: length of the rotary tables.
        """
        config = llm.config
        self._norm = _norm(llm.model.norm)
        self._head = _linear(llm.lm_head)
        self._num_heads = config.num_attention_heads
        self._num_kv_heads = config.num_key_value_heads
        self._layers = [_extract_weights(layer) for layer in llm.model.layers]
        self._head_dim = llm.model.layers[0].self_attn.head_dim
        weight = llm.model.embed_tokens.weight
        positions = torch.arange(max_positions, device=weight.device)[None]
        with torch.inference_mode():
            cos, sin = llm.model.rotary_emb(weight[:1, None], positions)
        # The sign of rotate_half goes into the table: [max_positions, 1, D].
        self._cos = cos[0, :, None]
        first, second = sin[0, :, None].chunk(2, dim=-1)
        self._sin = torch.cat((-first, second), dim=-1)

    def __call__(
        self,
        embeds: Tensor,
        positions: Tensor,
        span: int,
        attend: Callable[[Tensor, Tensor, Tensor], Tensor],
        cache: StreamCache,
    ) -> Tensor:
        """Write keys and values at `positions` and return the last hidden states [M, d].

        Args:
            embeds: [M, d].
            positions: [M], increasing by one.
            span: how much of the cache is attended to, at least the last position + 1.
            attend: attention of queries [1, G, H / G * M, D] to keys and values [1, G, span, D].
            cache: where keys and values are written and read.
        """
        hidden = embeds.clone()  # the residual stream grows in place
        cos, sin = self._cos[positions], self._sin[positions]
        whole, attended_to = cache.memory.flatten(1, 3).unbind(), cache.memory[..., :span, :].flatten(0, 1).unbind()
        for layer, memory, keys, values in zip(self._layers, whole, attended_to[::2], attended_to[1::2], strict=True):
            query = self._project(layer, layer.input_norm(hidden), positions, cos, sin, memory)
            attended = attend(query, keys, values)
            hidden = layer.output.add_residual(hidden, self._regroup(attended, len(hidden)))
            gate, up = _apply(layer.gate_up, layer.post_norm(hidden)).chunk(2, dim=-1)
            hidden = layer.down.add_residual(hidden, layer.activation(gate) * up)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Compute logits [K, vocab] of last hidden states [K, d]."""
        return self._head(self._norm(hidden))

    def group_mask(self, mask: Tensor) -> Tensor:
        """Repeat a mask [M, S] for the queries of all heads that share a kv head: [H / G * M, S]."""
        return mask.repeat(self._num_heads // self._num_kv_heads, 1)

    def _project(
        self, layer: _Layer, hidden: Tensor, positions: Tensor, cos: Tensor, sin: Tensor, memory: Tensor
    ) -> Tensor:
        """Write keys and values into a layer's memory and return the rotated queries.

        Queries that share a kv head become rows of one attention, so that no key is copied.

        Args:
            layer: the layer's weights.
            hidden: [M, d], normalized.
            positions: [M].
            cos: [M, 1, D].
            sin: [M, 1, D], with the sign of rotate_half.
            memory: [2 G, max_tokens, D].

        Returns:
            queries [1, G, H / G * M, D].
        """
        num_tokens, kv_heads, head_dim = len(hidden), self._num_kv_heads, self._head_dim
        projected = _apply(layer.qkv, hidden).view(num_tokens, -1, head_dim)  # [M, H + 2 G, D]
        rotated = projected[:, :-kv_heads]
        query_key = rotated
        if layer.query_key_norms:
            query_norm, key_norm = layer.query_key_norms
            query, key = query_key[:, :-kv_heads], query_key[:, -kv_heads:]
            query_key = torch.cat((query_norm(query), key_norm(key)), dim=1)
        torch.addcmul(query_key * cos, query_key.roll(head_dim // 2, dims=-1), sin, out=rotated)
        memory.index_copy_(1, positions, projected[:, -2 * kv_heads :].transpose(0, 1))
        query = projected[:, : -2 * kv_heads]
        if num_tokens == 1:
            return query.view(1, kv_heads, -1, head_dim)
        return query.view(num_tokens, kv_heads, -1, head_dim).permute(1, 2, 0, 3).reshape(1, kv_heads, -1, head_dim)

    def _regroup(self, attended: Tensor, num_tokens: int) -> Tensor:
        """Reorder what was attended to, [1, G, H / G * M, D], as [M, H D]."""
        if num_tokens == 1:
            return attended.reshape(1, -1)  # a kernel may give it in another layout
        attended = attended.view(self._num_kv_heads, -1, num_tokens, self._head_dim)
        return attended.permute(2, 0, 1, 3).reshape(num_tokens, -1)


def _extract_weights(layer: Any) -> _Layer:  # of any of the models in FAMILY
    attention, mlp = layer.self_attn, layer.mlp
    norms = (attention.q_norm, attention.k_norm) if hasattr(attention, "q_norm") else None
    return _Layer(
        input_norm=_norm(layer.input_layernorm),
        qkv=_fuse_linears(attention.q_proj, attention.k_proj, attention.v_proj),
        query_key_norms=norms and (_norm(norms[0]), _norm(norms[1])),
        output=_linear(attention.o_proj),
        post_norm=_norm(layer.post_attention_layernorm),
        gate_up=_fuse_linears(mlp.gate_proj, mlp.up_proj),
        activation=mlp.act_fn.forward,
        down=_linear(mlp.down_proj),
    )


def _apply(linears: tuple[_Linear, ...], hidden: Tensor) -> Tensor:
    if len(linears) == 1:
        return linears[0](hidden)
    return torch.cat([linear(hidden) for linear in linears], dim=-1)


def _fuse_linears(*linears: nn.Linear) -> tuple[_Linear, ...]:
    """Make one linear map of several that read the same input. The modules keep working, on views of its memory."""
    # Quantized weights cannot be moved, and those that learn belong to their optimizer.
    if any(type(linear.weight.data) is not Tensor or linear.weight.requires_grad for linear in linears):
        return tuple(_linear(linear) for linear in linears)
    fused = getattr(linears[0], "_fused", None)
    if fused is not None:
        parts = fused.weight.split([linear.out_features for linear in linears])
        if all(part.data_ptr() == linear.weight.data_ptr() for part, linear in zip(parts, linears, strict=True)):
            return (fused,)  # by an earlier session of the same model
    weight = torch.cat([linear.weight.data for linear in linears])
    bias = None if linears[0].bias is None else torch.cat([linear.bias.data for linear in linears])
    start = 0
    for linear in linears:
        stop = start + linear.out_features
        linear.weight.data = weight[start:stop]
        if bias is not None:
            linear.bias.data = bias[start:stop]
        start = stop
    fused = _make_linear(weight, bias)
    linears[0]._fused = fused  # type: ignore[assignment]  # a tuple, which is not saved with the model's weights
    return (fused,)


def _linear(module: nn.Linear) -> _Linear:
    return _make_linear(module.weight.data, module.bias)


def _make_linear(weight: Tensor, bias: Tensor | None) -> _Linear:
    return _Linear(weight, bias, weight.t() if bias is None and type(weight) is Tensor else None)


def _norm(module: Any) -> _Norm | _CpuNorm:
    weight, epsilon = module.weight.data, module.variance_epsilon
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return _Norm(weight, epsilon)
    return _CpuNorm(weight * len(weight) ** 0.5, torch.tensor((len(weight) * epsilon) ** 0.5))
