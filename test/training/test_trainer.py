# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a training checkpoint holds, also where FSDP has wrapped the model."""

from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from torch import distributed, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.fsdp.wrap import size_based_auto_wrap_policy

from videollm_ros.training.trainer import cast_parameters, load_trained, save_trained
from videollm_ros.training.yaml_dataclass import ConfigError


@pytest.fixture
def model():
    """A frozen half-precision layer, and a part of two layers that is trained in float32."""
    part = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    return nn.Sequential(nn.Linear(8, 8, dtype=torch.bfloat16).requires_grad_(False), part)


@pytest.fixture
def alone(tmp_path):
    """A process group of one."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


TRAINED = {"1.0.weight", "1.0.bias", "1.2.weight", "1.2.bias"}


def test_a_checkpoint_holds_the_trained_parameters_and_fits_only_their_model(model, tmp_path):
    path = tmp_path / "trained.safetensors"
    save_trained(model, path)
    assert load_file(path).keys() == TRAINED
    model[1][2].requires_grad_(False)
    with pytest.raises(ConfigError, match=r"trained other parameters, for example 1\.2\.bias"):
        load_trained(model, path)


@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_of_a_model_that_fsdp_has_wrapped_is_one_of_the_model(model, alone, tmp_path):
    policy = partial(size_based_auto_wrap_policy, min_num_params=50)
    options = {"use_orig_params": True, "auto_wrap_policy": policy, "device_id": torch.device("cpu")}
    cast_parameters(model, torch.bfloat16)
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    wrapped = FullyShardedDataParallel(model, **options)
    assert any("_fsdp_wrapped_module" in name for name, _ in wrapped.named_parameters())
    path = tmp_path / "trained.safetensors"
    save_trained(wrapped, path, wrapped.state_dict())
    written = load_file(path)
    assert written.keys() == TRAINED
    assert all(torch.equal(tensor, expected[name]) for name, tensor in written.items())

    with torch.no_grad():
        for parameter in wrapped.parameters():
            parameter.zero_()
    load_trained(wrapped, path)
    state = wrapped.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in written.items())


@pytest.mark.filterwarnings("ignore")
def test_fsdp_takes_no_mixed_types(model, alone):
    """Why the parameters are cast before: without it, wrapping fails."""
    with pytest.raises(ValueError, match="uniform dtype"):
        FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))
    cast_parameters(model, torch.bfloat16)
    FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))
