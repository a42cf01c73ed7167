# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Load the model that the parameters describe, and give its memory back. Both change the whole process."""

from __future__ import annotations

import gc

import torch

from videollm_ros.live import LiveModel
from videollm_ros.node import allocator
from videollm_ros.node.parameters import ModelParameters


def load_model(wanted: ModelParameters) -> LiveModel:
    """Load a model, and set the number of PyTorch's threads if a number is wanted.

    Raises:
        CheckpointError: The checkpoint cannot be loaded.
        ValueError: No checkpoint is given.
    """
    if not wanted.checkpoint:
        raise ValueError("model.checkpoint is empty: set it to a hub id or a folder, or load a file of config/.")
    if wanted.cpu_threads:
        torch.set_num_threads(wanted.cpu_threads)  # of the threads that are started after this
    return LiveModel.from_pretrained(
        wanted.checkpoint,
        llm=wanted.llm or None,
        vision=wanted.vision or None,
        device=wanted.device,
        dtype=wanted.dtype,
        quantization=None if wanted.quantization == "none" else wanted.quantization,
    )


def keep_out_of_collections() -> None:
    """Exempt all objects that exist now from garbage collection, and give back what loading them has left free.

    A full collection would otherwise look at every part of the model, and stop every thread for some 0.1 s each time.
    """
    gc.collect()
    gc.freeze()
    allocator.trim()


def give_memory_back() -> None:
    """Collect what is not referenced any more, and give what is free back: PyTorch's cache on the GPU, and malloc's."""
    gc.unfreeze()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    allocator.trim()


def describe_device(device: torch.device) -> str:
    """Return the device for the log, with the number of threads of a CPU."""
    return f"cpu ({torch.get_num_threads()} threads)" if device.type == "cpu" else str(device)
