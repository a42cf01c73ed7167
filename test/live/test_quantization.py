# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weight-only quantization: what it does to a model, and what it refuses."""

import copy
import sys

import pytest
import torch

from videollm_ros.live import CheckpointError, LiveModel, StreamSession
from videollm_ros.live.quantization import quantize


def load(folder, quantization: str, dtype: str = "float32") -> LiveModel:
    return LiveModel.from_pretrained(
        folder / "adapter",
        llm=folder / "base",
        vision=folder / "vision",
        device="cpu",
        dtype=dtype,
        quantization=quantization,
    )


def test_an_unknown_format_is_refused(goldens_folder):
    with pytest.raises(CheckpointError, match="unknown quantization 'int3'; expected one of int8, int4, fp8"):
        load(goldens_folder, "int3")


def test_int8_weights_say_nearly_what_full_weights_say(goldens_folder, golden_model, golden_frames):
    pytest.importorskip("torchao", reason="torchao is the extra 'quantization'")
    stamps = [index / 2 for index in range(24)]
    quantized = StreamSession(load(goldens_folder, "int8")).observe_many(golden_frames, stamps)
    full = StreamSession(golden_model).observe_many(golden_frames, stamps)
    same = {(one.stamp, one.text) for one in quantized} & {(one.stamp, one.text) for one in full}
    assert len(same) >= 0.7 * len(full)


def test_without_torchao_nothing_is_loaded_and_the_command_is_named(goldens_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchao", None)  # importing it fails
    monkeypatch.setattr("videollm_ros.live.checkpoint.load_llm", lambda *_: pytest.fail("the decoder was loaded"))
    with pytest.raises(CheckpointError, match="quantization int8 needs torchao: pip install torchao"):
        load(goldens_folder, "int8")


def test_an_adapter_is_merged_before_its_layers_are_quantized(goldens_folder, golden_model):
    torchao = pytest.importorskip("torchao.quantization", reason="torchao is the extra 'quantization'")
    expected = copy.deepcopy(golden_model.llm)
    torchao.quantize_(expected.model, torchao.Int8WeightOnlyConfig())
    found = load(goldens_folder, "int8").llm
    for (name, one), (_, other) in zip(found.named_parameters(), expected.named_parameters(), strict=True):
        assert torch.equal(one.dequantize(), other.dequantize()), name


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_not_quantized_has_the_type_that_was_asked_for(goldens_folder, dtype):
    pytest.importorskip("torchao", reason="torchao is the extra 'quantization'")
    model = load(goldens_folder, "int8", dtype)
    plain = [parameter for parameter in model.parameters() if type(parameter.data) is torch.Tensor]
    assert {parameter.dtype for parameter in plain} == {getattr(torch, dtype)} and model.dtype == getattr(torch, dtype)
    assert type(model.llm.lm_head.weight.data) is torch.Tensor


def test_layers_are_prepared_one_at_a_time(random_llm):
    pytest.importorskip("torchao", reason="torchao is the extra 'quantization'")
    llm = random_llm()
    full = []

    def prepare(name, linear):
        linears = [module for module in llm.model.modules() if isinstance(module, torch.nn.Linear)]
        full.append((name, sum(type(one.weight.data) is torch.Tensor for one in linears)))

    quantize(llm, "int8", prepare)
    names = [name for name, module in llm.named_modules() if isinstance(module, torch.nn.Linear) and name != "lm_head"]
    assert full == [(name, len(names) - index) for index, name in enumerate(names)]


def test_sizes_that_do_not_fit_a_format_are_refused_by_name(goldens_folder):
    pytest.importorskip("torchao", reason="torchao is the extra 'quantization'")
    with pytest.raises(
        CheckpointError, match=r"int4 does not fit the layer model.layers.0.self_attn.q_proj with weights \[48, 48\]"
    ):
        load(goldens_folder, "int4")


def test_a_quantized_model_is_not_saved_and_nothing_written(goldens_folder, tmp_path):
    pytest.importorskip("torchao", reason="torchao is the extra 'quantization'")
    with pytest.raises(ValueError, match="a quantized model is not saved: save the full weights"):
        load(goldens_folder, "int8").save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
