# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weight-only quantisation: what it does to a model, and what it refuses."""

import pytest

from videollm_ros.live import CheckpointError, LiveModel, StreamSession


def load(folder, quantization: str) -> LiveModel:
    return LiveModel.from_pretrained(
        folder / "adapter",
        llm=folder / "base",
        vision=folder / "vision",
        device="cpu",
        dtype="float32",
        quantization=quantization,
    )


def test_an_unknown_format_is_refused(goldens_folder):
    with pytest.raises(CheckpointError, match="unknown quantization 'int3'; expected one of int8, int4, fp8"):
        load(goldens_folder, "int3")


def test_int8_weights_say_nearly_what_full_weights_say(goldens_folder, golden_model, golden_frames):
    pytest.importorskip("torchao", reason="torchao is the extra 'quantization'")
    stamps = [index / 2 for index in range(24)]
    quantised = StreamSession(load(goldens_folder, "int8")).observe_many(golden_frames, stamps)
    full = StreamSession(golden_model).observe_many(golden_frames, stamps)
    same = {(one.stamp, one.text) for one in quantised} & {(one.stamp, one.text) for one in full}
    assert len(same) >= 0.7 * len(full)


def test_sizes_that_do_not_fit_a_format_are_refused_by_name(goldens_folder):
    pytest.importorskip("torchao", reason="torchao is the extra 'quantization'")
    with pytest.raises(CheckpointError, match=r"int4 does not fit .* the first has weights \[48, 48\]"):
        load(goldens_folder, "int4")


def test_a_quantised_model_is_not_saved_and_nothing_written(goldens_folder, tmp_path):
    pytest.importorskip("torchao", reason="torchao is the extra 'quantization'")
    with pytest.raises(ValueError, match="a quantised model is not saved: save the full weights"):
        load(goldens_folder, "int8").save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
