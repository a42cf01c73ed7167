# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing in a checkpoint is ever executed, nothing in it makes loading hang, and it names no files outside of it."""

import contextlib
import json
import shutil
import sys

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from videollm_ros.live import CheckpointError, LiveModel, StreamSession
from videollm_ros.live.config import CONFIG_NAME

pytestmark = pytest.mark.timeout(60)  # for those that hang


def load_adapter(parts, **options):
    sources = {"llm": parts / "base", "vision": parts / "vision", "device": "cpu", **options}
    return LiveModel.from_pretrained(parts / "adapter", **sources)


def load(folder, **options):
    return LiveModel.from_pretrained(folder, device="cpu", **options)


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def bomb(saved, tmp_path):
    """Python files in every folder of a checkpoint that leave a trace when they are run."""
    trace = tmp_path / "it ran"
    for folder in (saved, saved / "llm", saved / "vision"):
        for name in ("evil", "modeling_evil", "__init__", "setup", "sitecustomize"):
            (folder / f"{name}.py").write_text(f"open({str(trace)!r}, 'w')\nclass Evil: pass\n")
    return trace


AUTO_CLASSES = ("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer", "AutoImageProcessor")


@pytest.mark.parametrize("file", ["llm/config.json", "vision/config.json", "llm/tokenizer_config.json"])
def test_code_beside_a_known_model_is_not_run(saved, bomb, file):
    edit_json(saved / file, auto_map=dict.fromkeys(AUTO_CLASSES, "evil.Evil"))
    with contextlib.suppress(CheckpointError):  # it may be refused, or loaded without the code
        StreamSession(load(saved))
    assert not bomb.exists()


@pytest.mark.parametrize("field", ["tokenizer_class", "processor_class", "slow_tokenizer_class"])
def test_a_tokenizer_class_of_its_own_is_not_run(saved, bomb, field):
    auto_map = {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    edit_json(saved / "llm" / "tokenizer_config.json", **{field: "Evil"}, auto_map=auto_map)
    with contextlib.suppress(CheckpointError):
        load(saved)
    assert not bomb.exists()


@pytest.mark.parametrize("part", ["llm", "vision"])
@pytest.mark.parametrize("field", ["attn_implementation", "_attn_implementation", "experts_implementation"])
def test_a_kernel_from_the_hub_is_not_asked_for(saved, monkeypatch, part, field):
    class Kernels:
        def __getattr__(self, name):
            pytest.fail(f"kernels.{name} was used")

    monkeypatch.setitem(sys.modules, "kernels", Kernels())
    edit_json(saved / part / "config.json", **{field: "kernels-community/flash-attn"})
    model = load(saved)
    assert model.llm.config._attn_implementation == model.vision.tower.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("part", ["llm", "vision"])
def test_weights_that_are_quantized_already_are_refused(saved, part):
    edit_json(saved / part / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})
    with pytest.raises(CheckpointError, match="is quantized already; expected full weights"):
        load(saved)


@pytest.mark.parametrize("part", ["llm", "vision"])
def test_an_adapter_inside_of_a_part_is_refused(saved, parts, part):
    shutil.copy(parts / "adapter" / "adapter_config.json", saved / part)
    with pytest.raises(CheckpointError, match="is an adapter; expected a model with all its weights"):
        load(saved)


# 20 characters of this take longer than anybody waits.
HANGS = "(([a-z._0-9])+)+$x"


@pytest.mark.parametrize(
    "changes",
    [
        {"target_modules": HANGS},
        {"exclude_modules": HANGS},
        {"modules_to_save": [HANGS]},
        {"layers_pattern": HANGS, "layers_to_transform": [0]},
        {"megatron_config": {"a": 1}, "megatron_core": "evil"},
        {"auto_mapping": {"base_model_class": "Evil", "parent_library": "evil"}},
        {"runtime_config": {"a": 1}},
        {"init_lora_weights": "pissa"},
    ],
)
def test_what_steers_peft_is_never_used(parts, golden_model, changes):
    edit_json(parts / "adapter" / "adapter_config.json", **changes)
    for name, tensor in load_adapter(parts).state_dict().items():
        assert torch.equal(tensor, golden_model.state_dict()[name]), name


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"rank_pattern": {HANGS: 8}}, "rank_pattern should map the names of modules to numbers"),
        ({"alpha_pattern": [1]}, "alpha_pattern should map the names of modules to numbers"),
        ({"r": 0}, "r should be a number above 0: 0"),
        ({"r": "8"}, "r should be a number above 0: '8'"),
        ({"lora_alpha": float("nan")}, "lora_alpha should be a number above 0: nan"),
        ({"r": 4}, r"lora_A.weight has shape \[8, \d+\], adapter_config.json says rank 4"),
        ({"use_dora": True}, "sets use_dora, which is not supported"),
        ({"base_model_name_or_path": ["base"]}, "base_model_name_or_path should be a string"),
        ({"target_modules": ["q_proj", "rotary"], "peft_type": "VERA"}, "is of type VERA; expected LORA"),
    ],
)
def test_a_setting_of_an_adapter_that_cannot_be_used_is_named(parts, changes, complaint):
    edit_json(parts / "adapter" / "adapter_config.json", **changes)
    with pytest.raises(CheckpointError, match=complaint):
        load_adapter(parts)


def test_a_part_may_not_lie_outside_of_the_checkpoint(saved, parts):
    for source in ("../../etc", str(saved.parent), "llm/../../x"):
        edit_json(saved / CONFIG_NAME, llm=source)
        with pytest.raises(CheckpointError, match=r"lies outside of .*; pass the folder as llm= or vision= instead"):
            load(saved)
    edit_json(parts / "adapter" / "adapter_config.json", base_model_name_or_path="../base")
    with pytest.raises(CheckpointError, match="lies outside of it"):
        load_adapter(parts, llm=None)


@pytest.mark.parametrize("source", ["a" * 9999, "~nobody/x", "", "\ud800", "a\0b"])
def test_a_part_with_a_name_that_cannot_be_is_refused(saved, source):
    edit_json(saved / CONFIG_NAME, vision=source)
    with pytest.raises(CheckpointError):
        load(saved)


def test_shards_lie_beside_their_index(saved):
    weights = saved / "llm" / "model.safetensors"
    weights.rename(saved / "other.safetensors")
    index = saved / "llm" / "model.safetensors.index.json"
    for shard in ("../other.safetensors", str(saved / "other.safetensors"), None, 3):
        index.write_text(json.dumps({"metadata": {}, "weight_map": {"model.norm.weight": shard}}))
        with pytest.raises(CheckpointError, match="should map tensors to the names of files beside it"):
            load(saved)


FILES = [CONFIG_NAME, "llm/config.json", "vision/config.json", "llm/tokenizer.json", "llm/tokenizer_config.json"]


@pytest.mark.parametrize("file", FILES)
def test_json_that_is_nested_too_deeply_is_refused(saved, file):
    (saved / file).write_text('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(CheckpointError):
        load(saved)


@pytest.mark.parametrize("part", ["llm", "vision"])
@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": 10**9},
        {"hidden_size": 2**20, "head_dim": 2**20},
        {"intermediate_size": 10**12},
        {"vocab_size": 10**10, "num_channels": 10**10},
    ],
)
def test_a_size_that_the_weights_do_not_have_takes_no_memory(saved, part, changes):
    edit_json(saved / part / "config.json", **changes)
    with pytest.raises(CheckpointError):
        load(saved)


def test_a_billion_labels_are_not_counted(saved):
    for part in ("llm", "vision"):
        edit_json(saved / part / "config.json", num_labels=10**9)
    load(saved)


def test_a_package_that_a_checkpoint_needs_is_named(saved, monkeypatch):
    def needs(*_, **__):
        raise ImportError("this tokenizer needs sentencepiece")

    monkeypatch.setattr("videollm_ros.live.parts.AutoTokenizer.from_pretrained", needs)
    with pytest.raises(CheckpointError, match=r"asks for a package that is not installed: .*sentencepiece"):
        load(saved)


# What an adapter does to a decoder, since it is merged here and not by PEFT.


def test_an_adapter_loads_without_peft(parts, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)  # importing it fails
    load_adapter(parts)


@pytest.mark.parametrize("rslora", [False, True])
def test_an_adapter_is_merged_as_peft_merges_it(parts, random_llm, tokenizer, rslora):
    llm = random_llm(hidden_size=48, num_key_value_heads=2)
    llm.save_pretrained(parts / "base")
    config = LoraConfig(
        r=4,
        lora_alpha=9,
        use_rslora=rslora,
        target_modules=["q_proj", "down_proj", "lm_head"],
        rank_pattern={"down_proj": 2},
        alpha_pattern={"layers.1.self_attn.q_proj": 5},
    )
    adapted = get_peft_model(llm, config)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    connector = {
        name: tensor
        for name, tensor in load_file(parts / "adapter" / "adapter_model.safetensors").items()
        if "connector" in name
    }
    adapted.save_pretrained(parts / "adapter")
    path = parts / "adapter" / "adapter_model.safetensors"
    save_file({**load_file(path), **connector}, path)
    expected = adapted.merge_and_unload().state_dict()
    for name, tensor in load_adapter(parts, dtype="float32").llm.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_an_adapter_on_the_head_leaves_the_embeddings_alone(parts, random_llm, tokenizer):
    llm = random_llm(hidden_size=48, tie_word_embeddings=True)
    llm.save_pretrained(parts / "base")
    path = parts / "adapter" / "adapter_model.safetensors"
    kept = {name: tensor for name, tensor in load_file(path).items() if "connector" in name}
    head = "base_model.model.lm_head.lora_{}.weight"
    kept |= {head.format("A"): torch.ones(8, 48), head.format("B"): torch.ones(len(tokenizer), 8)}
    save_file(kept, path)
    model = load_adapter(parts, dtype="float32")
    assert torch.equal(model.llm.model.embed_tokens.weight, llm.model.embed_tokens.weight)
    torch.testing.assert_close(model.llm.lm_head.weight, llm.model.embed_tokens.weight + 16.0)  # alpha / r * 8
    model.save_pretrained(parts / "saved")
    assert torch.equal(load(parts / "saved").llm.lm_head.weight, model.llm.lm_head.weight)


def test_an_adapter_for_fewer_layers_than_the_base_has_is_refused(parts):
    path = parts / "adapter" / "adapter_model.safetensors"
    save_file(
        {name: tensor for name, tensor in load_file(path).items() if "layers.1.self_attn.q_proj" not in name}, path
    )
    with pytest.raises(CheckpointError, match=r"adapts model.layers.\*.self_attn.q_proj in 1 layers, .* has 2"):
        load_adapter(parts)
    edit_json(parts / "adapter" / "adapter_config.json", target_modules=["q_proj"])
    with pytest.raises(CheckpointError, match=r"lacks the tensors of model.layers.1.self_attn.q_proj \[48, 48\]"):
        load_adapter(parts)


def test_other_layouts_of_a_hub_repository_are_not_downloaded(parts, saved, monkeypatch):
    asked = []

    def download(repository, allow_patterns, ignore_patterns):
        asked.append((repository, allow_patterns, ignore_patterns))
        return str({"some/llm": parts / "base", "some/tower": parts / "vision"}[repository])

    monkeypatch.setattr("videollm_ros.live.checkpoint_files.snapshot_download", download)
    load_adapter(parts, llm="some/llm", vision="some/tower")
    assert {repository for repository, *_ in asked} == {"some/llm", "some/tower"}
    for _, allowed, ignored in asked:
        assert "*.py" not in allowed and "*.bin" not in allowed and "*/*" in ignored


def test_an_error_is_no_longer_than_a_few_lines_whatever_a_file_holds(tmp_path):
    (tmp_path / "live_config.json").write_text(json.dumps({"frame_token_pooled": [0] * 5000}))
    with pytest.raises(CheckpointError, match="frame_token_pooled") as raised:
        LiveModel.from_pretrained(tmp_path, device="cpu")
    assert len(str(raised.value)) < 1000
