# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The LIVE model: a vision encoder, a two-layer connector and a causal LM (arXiv 2406.11816)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import CausalLMOutput

from videollm_ros.live.checkpoint import CheckpointError, Parts, load_parts, save_parts
from videollm_ros.live.config import LiveConfig
from videollm_ros.live.connector import make_connector
from videollm_ros.live.loss import stream_loss
from videollm_ros.live.template import DialogueTemplate
from videollm_ros.live.vision import VisionEncoder, as_tensor, letterbox

__all__ = ["LiveModel", "make_connector"]

FRAMES_PER_BATCH = 32
"""Frames that are encoded together. A tower is limited by arithmetic at far fewer, so more only costs memory."""


class LiveModel(nn.Module):
    """Compose a vision tower, a connector and any Hugging Face causal LM. Hold no stream's state.

    Raises:
        ValueError: the parts do not fit each other. The message has both sizes.
    """

    def __init__(
        self,
        config: LiveConfig,
        vision: VisionEncoder,
        connector: nn.Sequential,
        llm: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
    ) -> None:
        """Compose a model of parts that lie on one device."""
        super().__init__()
        embedding: Any = llm.get_input_embeddings()
        _check_fit(config, vision, connector, embedding, len(tokenizer))
        self.config = config
        self.vision = vision
        self.connector = connector
        self.llm = llm
        self.tokenizer = tokenizer
        self.template = DialogueTemplate(config, tokenizer, frame_token_id=embedding.num_embeddings)

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | Path,
        llm: str | Path | None = None,
        vision: str | Path | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        quantization: str | None = None,
    ) -> LiveModel:
        """Load a model for inference.

        The arguments, the two layouts of a checkpoint and the errors are those of
        `videollm_ros.live.checkpoint.load_parts`.

        Raises:
            CheckpointError: the checkpoint cannot be loaded.
        """
        parts = load_parts(checkpoint, llm=llm, vision=vision, device=device, dtype=dtype, quantization=quantization)
        try:
            model = cls(*parts)
        except ValueError as error:
            raise CheckpointError(f"{checkpoint}: {error}") from error
        return model.requires_grad_(False).eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a self-contained folder that `from_pretrained` loads: safetensors, configurations, tokenizer.

        Raises:
            ValueError: the decoder is quantized.
        """
        save_parts(Parts(self.config, self.vision, self.connector, self.llm, self.tokenizer), folder)

    @property
    def device(self) -> torch.device:
        """Return the device of the connector, which is that of all parts."""
        return self.connector[0].get_parameter("weight").device

    @property
    def dtype(self) -> torch.dtype:
        """Return the data type of the decoder's input embeddings."""
        return self.llm.get_input_embeddings().get_parameter("weight").dtype

    def preprocess(self, frames: Tensor | np.ndarray) -> Tensor:
        """Fit frames of any size to the vision tower, on the model's device.

        Args:
            frames: uint8 RGB [3, H, W] or [H, W, 3], or a batch of them [T, ...].

        Returns:
            uint8 RGB [3, R, R] or [T, 3, R, R].

        Raises:
            ValueError: the frames have another type or shape.
        """
        tensor = as_tensor(frames)
        batched = tensor.ndim == 4
        if tensor.ndim == 3:
            tensor = tensor[None]
        # Channels first, unless only the last dimension can be the colors.
        if tensor.ndim == 4 and tensor.shape[1] != 3 and tensor.shape[3] == 3:
            tensor = tensor.permute(0, 3, 1, 2)
        if tensor.dtype != torch.uint8 or tensor.ndim != 4 or tensor.shape[1] != 3 or 0 in tensor.shape:
            raise ValueError(
                f"expected uint8 RGB frames [3, H, W] or [H, W, 3], got {tensor.dtype} {list(np.shape(frames))}"
            )
        prepared = letterbox(tensor.to(self.device, non_blocking=True), self.config.frame_resolution)
        return prepared if batched else prepared[0]

    def encode(self, frames: Tensor) -> Tensor:
        """Compute vision features [T, n, d_vision] of uint8 RGB frames [T, 3, R, R]."""
        features: Tensor = self.vision(frames.to(self.device, non_blocking=True))
        return features

    def project(self, features: Tensor) -> Tensor:
        """Compute decoder embeddings [T, n, d_model] of vision features [T, n, d_vision]."""
        connector_dtype = self.connector[0].get_parameter("weight").dtype
        embeds: Tensor = self.connector(features.to(self.device, connector_dtype))
        return embeds.to(self.dtype)

    prepare = preprocess
    """The first name of `preprocess`, kept for programs that use it."""
    embed = project
    """The first name of `project`, kept for programs that use it."""

    @torch.inference_mode()
    def embed_frames(
        self, frames: Tensor | np.ndarray | Sequence[Tensor | np.ndarray], batch_size: int = FRAMES_PER_BATCH
    ) -> Tensor:
        """Preprocess, encode and project frames, a batch at a time.

        Args:
            frames: T frames as for `preprocess`: one array [T, ...], or a sequence of frames of different sizes.
            batch_size: frames that are encoded together, at least 1.

        Returns:
            decoder embeddings [T, n, d_model] on the model's device.

        Raises:
            ValueError: a frame has another type or shape, or `batch_size` is below 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is a number of frames, at least 1: {batch_size}")
        batches = [frames[start : start + batch_size] for start in range(0, len(frames), batch_size)]
        if not batches:
            width = self.llm.get_input_embeddings().get_parameter("weight").shape[1]
            return torch.empty(0, self.config.frame_num_tokens, width, dtype=self.dtype, device=self.device)
        embeds = [self.project(self.encode(self._preprocess_batch(batch))) for batch in batches]
        return torch.cat(embeds)

    def _preprocess_batch(self, frames: Tensor | np.ndarray | Sequence[Tensor | np.ndarray]) -> Tensor:
        if isinstance(frames, Tensor | np.ndarray):
            return self.preprocess(frames)
        return torch.stack([self.preprocess(frame) for frame in frames])

    def embed_ids(self, input_ids: Tensor) -> Tensor:
        """Look up decoder embeddings [.., d_model] of token ids [..]."""
        embeds: Tensor = self.llm.get_input_embeddings()(input_ids)
        return embeds

    def forward(
        self,
        input_ids: Tensor,
        features: Tensor,
        labels: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> CausalLMOutput:
        """Read whole dialogues (teacher forcing).

        Args:
            input_ids: [B, L], from `template.encode`; padding is on the left.
            features: [T, n, d_vision], the frames of all dialogues in order.
            labels: [B, L] from `template.encode`: the *next* token at each position, -100 where nothing is learned.
            attention_mask: [B, L], 0 where padded.

        Returns:
            logits [B, L, vocab], and with labels the loss of `stream_loss` with `config.stream_loss_weight`.

        Raises:
            ValueError: the dialogues do not hold as many frames as `features`.
        """
        is_frame = input_ids == self.template.frame_token_id
        frame_embeds = self.project(features).flatten(0, 1)
        if int(is_frame.sum()) != len(frame_embeds):
            raise ValueError(
                f"the dialogue has places for {int(is_frame.sum()) / self.config.frame_num_tokens:g} frames, "
                f"{len(features)} were given"
            )
        embeds = self.embed_ids(input_ids.masked_fill(is_frame, 0))
        # Under autocast the two tensors can differ in dtype.
        embeds = embeds.masked_scatter(is_frame[..., None], frame_embeds.to(embeds.dtype))
        position_ids = None
        if attention_mask is not None:
            position_ids = (attention_mask.cumsum(-1) - 1).clamp_(min=0)
        read = {"attention_mask": attention_mask, "position_ids": position_ids, "use_cache": False}
        logits = self.llm(inputs_embeds=embeds, **read).logits
        loss = None
        if labels is not None:
            loss = stream_loss(logits, labels, is_frame, self.config.stream_loss_weight).loss
        return CausalLMOutput(loss=loss, logits=logits)


def _check_fit(
    config: LiveConfig, vision: VisionEncoder, connector: Any, embedding: nn.Embedding, num_tokens: int
) -> None:
    """Check that widths and vocabularies of the parts agree."""
    vision_size, llm_size = connector[0].in_features, connector[-1].out_features
    if vision.hidden_size != vision_size:
        raise ValueError(
            f"the vision tower {config.vision} makes features of width {vision.hidden_size}, "
            f"connector.0.weight {list(connector[0].weight.shape)} takes width {vision_size}"
        )
    if embedding.embedding_dim != llm_size:
        raise ValueError(
            f"the decoder {config.llm} has embeddings of width {embedding.embedding_dim}, "
            f"connector.2.weight {list(connector[-1].weight.shape)} makes width {llm_size}"
        )
    if num_tokens > embedding.num_embeddings:
        raise ValueError(
            f"the tokenizer has {num_tokens} tokens, the decoder's embedding table "
            f"{list(embedding.weight.shape)} only {embedding.num_embeddings}: it is the tokenizer of another model"
        )
