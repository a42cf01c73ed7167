# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whole runs: what they leave behind, what is learned, how they go on after a kill, and on two processes."""

import copy
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainingArguments

from videollm_ros.data import Dialogue, FeatureFolder
from videollm_ros.data.dialogues import DialogueError, write_dialogues
from videollm_ros.data.samples import DialogueSamples
from videollm_ros.live import LiveModel
from videollm_ros.training import run as training_run
from videollm_ros.training.config import ModelConfig, TrainableConfig, TrainConfig
from videollm_ros.training.output import write_checkpoint
from videollm_ros.training.run import train
from videollm_ros.training.stage import train_stage
from videollm_ros.training.start import load_start
from videollm_ros.training.yaml_dataclass import ConfigError

pytestmark = pytest.mark.slow

GOLDENS = Path(__file__).parents[1] / "goldens" / "live1plus"


def losses(folder, step):
    state = json.loads((folder / f"checkpoint-{step}" / "trainer_state.json").read_text())
    return [entry["loss"] for entry in state["log_history"] if "loss" in entry]


def test_a_run_from_scratch_leaves_a_model_that_loads_and_its_loss_falls(run, write_config):
    run["stages"][0]["trainer"].update(max_steps=30, learning_rate=5e-3, save_steps=30)
    folder = train(TrainConfig.load(write_config(run)))
    curve = losses(Path(run["output"]) / "1-dialogue", 30)
    assert sum(curve[-3:]) < 0.7 * sum(curve[:3])
    model = LiveModel.from_pretrained(folder, device="cpu")
    assert model.config.frame_num_tokens == 3
    frames = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    assert model.embed(model.encode(frames)).shape == (2, 3, 32)


def test_the_log_has_the_loss_of_silence_and_of_text(run, write_config):
    train(TrainConfig.load(write_config(run)))
    state = json.loads((Path(run["output"]) / "1-dialogue" / "checkpoint-6" / "trainer_state.json").read_text())
    assert all({"loss", "stream_loss", "text_loss"} <= entry.keys() for entry in state["log_history"][:6])


@pytest.mark.parametrize(
    "change", [{}, {"vision": True}, {"silence_keep_ratio": 0.3, "reply_corruption": 0.8}], ids=str
)
def test_a_killed_run_goes_on_with_the_losses_of_one_that_was_not(run, write_config, tmp_path, change):
    stage = run["stages"][0]
    for name, value in change.items():
        (stage["trainable"] if name == "vision" else stage["data"])[name] = value
    train(TrainConfig.load(write_config(run)))
    uninterrupted = losses(Path(run["output"]) / "1-dialogue", 6)

    killed = tmp_path / "killed"
    shutil.copytree(run["output"], killed)
    shutil.rmtree(killed / "1-dialogue" / "checkpoint-6")
    shutil.rmtree(killed / "1-dialogue" / "model")
    resumed = copy.deepcopy(run) | {"output": str(killed)}
    train(TrainConfig.load(write_config(resumed)))
    assert losses(killed / "1-dialogue", 6) == pytest.approx(uninterrupted, abs=1e-5)


def test_a_finished_stage_is_not_trained_again(run, write_config):
    train(TrainConfig.load(write_config(run)))
    before = (Path(run["output"]) / "1-dialogue" / "model" / "connector.safetensors").stat().st_mtime_ns
    train(TrainConfig.load(write_config(run)))
    assert (Path(run["output"]) / "1-dialogue" / "model" / "connector.safetensors").stat().st_mtime_ns == before


def test_a_killed_write_is_not_taken_for_a_model(run, write_config, monkeypatch):
    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("videollm_ros.live.config.LiveConfig.save", fail)
    with pytest.raises(OSError, match="No space left"):
        train(TrainConfig.load(write_config(run)))
    monkeypatch.undo()
    assert not (Path(run["output"]) / "1-dialogue" / "model").exists()
    assert LiveModel.from_pretrained(train(TrainConfig.load(write_config(run))), device="cpu")


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"data": {"simulator": {"seeds": [0, 2], "seconds": 300.0}}}, DialogueError, "the decoder reads 512 at most"),
        ({"data": {"dialogues": "nowhere.jsonl", "features": "nowhere"}}, DialogueError, "nowhere.jsonl"),
        ({"evaluation": {"dialogues": "nowhere.jsonl", "features": "nowhere"}}, DialogueError, "nowhere.jsonl"),
        ({"trainer": {"max_step": 6}}, ConfigError, "stage late: trainer: .* argument 'max_step'"),
    ],
    ids=["length", "data", "evaluation", "trainer"],
)
def test_what_is_wrong_with_the_last_stage_is_said_before_the_first_begins(run, write_config, change, error, sentence):
    run["stages"].append(copy.deepcopy(run["stages"][0]) | {"name": "late"} | change)
    with pytest.raises(error, match=sentence):
        train(TrainConfig.load(write_config(run)))
    assert not Path(run["output"]).exists() or not list(Path(run["output"]).iterdir())


def test_half_a_checkpoint_is_not_gone_on_from(run, write_config):
    train(TrainConfig.load(write_config(run)))
    folder = Path(run["output"]) / "1-dialogue"
    uninterrupted = losses(folder, 6)
    shutil.rmtree(folder / "model")
    (folder / "checkpoint-6" / "trainer_state.json").unlink()
    (folder / "checkpoint-6" / "trained.safetensors").write_bytes(b"half of it")
    train(TrainConfig.load(write_config(run)))
    assert losses(folder, 6) == pytest.approx(uninterrupted, abs=1e-5)


def test_a_stage_that_was_trained_from_another_model_of_the_one_before_is_not_taken(run, write_config):
    run["stages"].append(copy.deepcopy(run["stages"][0]) | {"name": "second"})
    config = TrainConfig.load(write_config(run))
    train(config)
    train(config)
    shutil.rmtree(Path(run["output"]) / "1-dialogue")
    for _ in range(2):  # both before and after the first stage has been trained anew
        with pytest.raises(ConfigError, match="2-second was trained from an older model of the stage before it"):
            train(config)
        train(config, stop_after="dialogue")


def test_numbers_that_yaml_takes_for_text_are_numbers(run, write_config):
    run["stages"][0]["trainer"]["learning_rate"] = "1e-3"
    assert train(TrainConfig.load(write_config(run)))


def test_a_process_that_sees_several_gpus_is_told_to_be_launched(run, write_config, monkeypatch):
    monkeypatch.setattr(TrainingArguments, "n_gpu", 2)
    with pytest.raises(ConfigError, match="sees 2 GPUs: start one process per GPU with torchrun"):
        train(TrainConfig.load(write_config(run)))


def test_a_missing_final_model_is_written_without_training(run, write_config):
    folder = train(TrainConfig.load(write_config(run)))
    before = (folder / "connector.safetensors").read_bytes()
    shutil.rmtree(folder)
    train(TrainConfig.load(write_config(run)))
    assert (folder / "connector.safetensors").read_bytes() == before


def test_other_settings_do_not_go_on_with_work_that_is_there(run, write_config):
    train(TrainConfig.load(write_config(run)))
    run["stages"][0]["trainer"]["learning_rate"] = 0.5
    with pytest.raises(ConfigError, match=r"1-dialogue was trained with stage.trainer.learning_rate 0.001, .* is 0.5"):
        train(TrainConfig.load(write_config(run)))
    # A stage of which the settings are not known is taken as it is.
    (Path(run["output"]) / "1-dialogue" / "settings.json").unlink()
    train(TrainConfig.load(write_config(run)))


def test_a_setting_that_there_was_not_then_had_its_default(run, write_config):
    train(TrainConfig.load(write_config(run)))
    path = Path(run["output"]) / "1-dialogue" / "settings.json"
    settings = json.loads(path.read_text())
    del settings["stage"]["auxiliary_losses"]
    path.write_text(json.dumps(settings))
    train(TrainConfig.load(write_config(run)))
    run["stages"][0]["auxiliary_losses"] = ["event"]
    with pytest.raises(ConfigError, match=r"was trained with stage.auxiliary_losses \[\], .* is \['event'\]"):
        train(TrainConfig.load(write_config(run)))


def test_training_tells_the_samples_which_epoch_it_is(run, write_config, monkeypatch):
    told = []
    monkeypatch.setattr(DialogueSamples, "set_epoch", lambda _, epoch: told.append(epoch))
    train(TrainConfig.load(write_config(run)))  # 6 steps of 2 of the 8 samples
    assert sorted(set(told)) == [0, 1]
    assert told == sorted(told)


def test_an_unknown_stage_to_stop_after_is_an_error(run, write_config):
    with pytest.raises(ConfigError, match="no stage 'last' to stop after; the stages are dialogue"):
        train(TrainConfig.load(write_config(run)), stop_after="last")


def test_the_scene_stage_teaches_the_tower_and_the_next_stage_starts_from_it(run, write_config):
    scene = copy.deepcopy(run["stages"][0]) | {"name": "scene", "task": "scene"}
    del scene["trainable"]
    run["stages"].insert(0, scene)
    train(TrainConfig.load(write_config(run)))
    seen = LiveModel.from_pretrained(Path(run["output"]) / "1-scene" / "model", device="cpu")
    final = LiveModel.from_pretrained(Path(run["output"]) / "2-dialogue" / "model", device="cpu")
    for name, tensor in seen.vision.tower.state_dict().items():
        assert torch.equal(tensor, final.vision.tower.state_dict()[name]), name
    assert not torch.equal(seen.connector[0].weight, final.connector[0].weight)


def test_auxiliary_losses_teach_the_decoder_and_leave_no_trace_in_the_model(run, write_config, monkeypatch):
    train(TrainConfig.load(write_config(run)))
    plain = LiveModel.from_pretrained(Path(run["output"]) / "model", device="cpu")
    run["output"] += "-auxiliary"
    run["stages"][0]["auxiliary_losses"] = ["event", "state"]
    run["stages"][0]["data"]["context_seconds"] = [2, 4]
    trained = []
    monkeypatch.setattr(training_run, "train_stage", lambda model, *a: trained.append(model) or train_stage(model, *a))
    taught = LiveModel.from_pretrained(train(TrainConfig.load(write_config(run))), device="cpu")
    assert not any(layer._forward_hooks for layer in trained[-1].llm.model.layers)
    assert plain.state_dict().keys() == taught.state_dict().keys()
    assert losses(Path(run["output"]) / "1-dialogue", 6)


@pytest.fixture
def golden_run(run, tmp_path):
    """LoRA and the connector on the golden model, from dialogues and features on disk."""
    conversation = [
        {"role": "stream", "num_frames": 3, "learn": True},
        {"role": "assistant", "content": "You see a red cup.", "learn": True},
    ]
    dialogues = [Dialogue(f"v{index}", (0, 3), conversation) for index in range(4)]
    write_dialogues(dialogues, tmp_path / "dialogues.jsonl")
    generator = torch.Generator().manual_seed(0)
    for dialogue in dialogues:
        FeatureFolder(tmp_path / "features").write(dialogue.video, torch.randn(3, 10, 64, generator=generator))
    parts = {"llm": str(GOLDENS / "base"), "vision": str(GOLDENS / "vision")}
    run["model"] = parts | {"live": {"frame_resolution": 96}}
    stage = run["stages"][0]
    stage["trainable"] = {"llm": "lora", "lora_r": 4, "lora_alpha": 8, "lora_dropout": 0.0}
    stage["data"] = {"dialogues": str(tmp_path / "dialogues.jsonl"), "features": str(tmp_path / "features")}
    return run


def test_what_learns_is_kept_in_float32_and_the_rest_as_it_is(golden_run, write_config, monkeypatch):
    golden_run["model"]["dtype"] = "bfloat16"
    golden_run["stages"][0]["trainable"]["llm"] = "none"
    golden_run["stages"][0]["trainer"]["bf16"] = True
    trained = []
    monkeypatch.setattr(training_run, "train_stage", lambda model, *a: trained.append(model) or train_stage(model, *a))
    train(TrainConfig.load(write_config(golden_run)))
    assert {parameter.dtype for parameter in trained[0].connector.parameters()} == {torch.float32}
    assert {parameter.dtype for parameter in trained[0].llm.parameters()} == {torch.bfloat16}
    assert trained[0].embed(torch.zeros(1, 10, 64)).dtype == torch.bfloat16


def evaluations(output, step):
    state = json.loads((Path(output) / "1-dialogue" / f"checkpoint-{step}" / "trainer_state.json").read_text())
    return [entry for entry in state["log_history"] if "eval_lm_ppl" in entry]


def test_held_out_dialogues_are_measured_and_shown_while_an_adapter_is_trained(golden_run, write_config, capsys):
    stage = golden_run["stages"][0]
    stage["evaluation"] = dict(stage["data"])
    stage["trainer"].update(max_steps=8, save_steps=8, eval_strategy="steps", eval_steps=2, learning_rate=2e-3)
    train(TrainConfig.load(write_config(golden_run)))
    measured = evaluations(golden_run["output"], 8)
    assert [entry["step"] for entry in measured] == [2, 4, 6, 8]
    assert {"eval_lm_ppl", "eval_time_diff", "eval_fluency", "eval_lm_correctness"} <= measured[0].keys()
    assert measured[-1]["eval_lm_ppl"] < 0.9 * measured[0]["eval_lm_ppl"]
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert [line.split(":")[0] for line in shown] == ["step 2", "step 4", "step 6", "step 8"]
    assert all("eval_lm_ppl=" in line and "eval_fluency=" in line for line in shown)


def test_on_the_simulator_the_model_is_run_live_after_every_epoch_and_learns_the_same(run, write_config):
    run["stages"][0]["trainer"].update(max_steps=12, save_steps=12)
    train(TrainConfig.load(write_config(run)))
    unmeasured = losses(Path(run["output"]) / "1-dialogue", 12)
    run["output"] += "-measured"
    run["stages"][0]["evaluation"] = {"seeds": [8900, 8902], "seconds": 6.0, "resolution": 32}
    folder = train(TrainConfig.load(write_config(run)))
    measured = evaluations(run["output"], 12)
    assert [entry["step"] for entry in measured] == [4, 8]
    assert measured[0]["eval_streams"] == 2 and "eval_false_per_quiet_minute" in measured[0]
    assert losses(Path(run["output"]) / "1-dialogue", 12) == pytest.approx(unmeasured, abs=1e-5)
    assert LiveModel.from_pretrained(folder, device="cpu")


def test_a_held_out_dialogue_that_cannot_be_read_is_named_before_training(golden_run, write_config, tmp_path):
    stage = golden_run["stages"][0]
    stage["evaluation"] = dict(stage["data"]) | {"dialogues": str(tmp_path / "held_out.jsonl")}
    turns = [{"role": "stream", "num_frames": 3, "learn": True}, {"role": "assistant", "content": "x " * 4000}]
    write_dialogues([Dialogue("v0", (0, 3), turns)], tmp_path / "held_out.jsonl")
    with pytest.raises(DialogueError, match=r"held_out\.jsonl.*the decoder reads"):
        train(TrainConfig.load(write_config(golden_run)))


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_lora_leaves_an_adapter_in_the_published_layout(golden_run, write_config, gradient_checkpointing):
    golden_run["stages"][0]["gradient_checkpointing"] = gradient_checkpointing
    folder = train(TrainConfig.load(write_config(golden_run)))
    assert json.loads((folder / "adapter_config.json").read_text())["modules_to_save"] == ["connector"]
    model = LiveModel.from_pretrained(folder, device="cpu")
    untrained = LiveModel.from_pretrained(
        GOLDENS / "adapter", llm=GOLDENS / "base", vision=GOLDENS / "vision", device="cpu"
    )
    assert model.llm.state_dict().keys() == untrained.llm.state_dict().keys()
    written, published = (load_file(place / "adapter_model.safetensors") for place in (folder, GOLDENS / "adapter"))
    assert written.keys() == published.keys()
    curve = losses(Path(golden_run["output"]) / "1-dialogue", 6)
    assert curve[-1] < curve[0]


def test_tied_embeddings_take_no_lora_on_the_output_layer_and_this_is_said_first(run, write_config, caplog):
    run["model"]["scratch"]["llm"]["tie_word_embeddings"] = True
    run["stages"][0]["trainable"] = {"llm": "lora"}
    caplog.set_level(logging.INFO)
    train(TrainConfig.load(write_config(run)))
    messages = [record.getMessage() for record in caplog.records]
    said = next(number for number, message in enumerate(messages) if "lm_head gets no LoRA" in message)
    assert said < messages.index("stage 1 of 1: dialogue")


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [(["q_proj", "lm_head"], "lm_head is the embedding table as well"), (["w_proj"], "has no linear layer w_proj")],
)
def test_lora_targets_that_cannot_be_trained_are_named_before_the_first_stage(run, write_config, targets, sentence):
    run["model"]["scratch"]["llm"]["tie_word_embeddings"] = True
    run["stages"].append(copy.deepcopy(run["stages"][0]) | {"name": "late"})
    run["stages"][1]["trainable"] = {"llm": "lora", "lora_targets": targets}
    with pytest.raises(ConfigError, match=rf"trainable\.lora_targets: .*{sentence}"):
        train(TrainConfig.load(write_config(run)))
    assert not Path(run["output"]).exists() or not list(Path(run["output"]).iterdir())


def test_lora_goes_on_from_an_adapter_as_an_adapter(golden_run, write_config):
    start_from_adapter(golden_run)
    published = json.loads((GOLDENS / "adapter" / "adapter_config.json").read_text())
    settings = {"lora_r": published["r"], "lora_alpha": published["lora_alpha"], "lora_dropout": 0.0}
    golden_run["stages"][0]["trainable"] = {"llm": "lora", **settings}
    learn_in_two_stages(golden_run)
    folder = train(TrainConfig.load(write_config(golden_run)))
    assert not (folder / "llm").exists()
    before, after = (load_file(place / "adapter_model.safetensors") for place in (GOLDENS / "adapter", folder))
    trained = {name for name in before if ".lora_" in name or ".connector." in name}
    assert trained <= after.keys()
    assert sum(not torch.equal(before[name].float(), after[name].float()) for name in trained) > len(trained) / 2


def test_an_adapter_that_training_goes_on_from_is_the_published_model(golden_paths):
    start = load_start(ModelConfig(**golden_paths), TrainableConfig(lora_dropout=0.0))
    published = LiveModel.from_pretrained(**golden_paths, device="cpu", dtype="float32")
    assert hasattr(start.llm, "peft_config")
    torch.testing.assert_close(logits(start), logits(published), atol=1e-4, rtol=0)


def test_lora_of_another_rank_merges_the_adapter_and_says_so(golden_run, write_config, caplog):
    start_from_adapter(golden_run)
    caplog.set_level(logging.INFO)
    folder = train(TrainConfig.load(write_config(golden_run)))
    assert any("the adapter is merged" in record.getMessage() for record in caplog.records)
    assert (folder / "llm").is_dir()


def test_a_changed_data_file_is_trained_on_and_the_old_work_is_kept(golden_run, write_config, tmp_path):
    learn_in_two_stages(golden_run)
    config = TrainConfig.load(write_config(golden_run))
    train(config)
    output = Path(golden_run["output"])
    before = (output / "2-again" / "model" / "adapter_config.json").stat().st_mtime_ns
    lines = (tmp_path / "dialogues.jsonl").read_text()
    (tmp_path / "dialogues.jsonl").write_text(lines.replace("red cup", "blue cup"))
    train(config)
    assert (output / "2-again" / "model" / "adapter_config.json").stat().st_mtime_ns > before
    assert (output / "1-dialogue.old-1" / "model").is_dir() and (output / "2-again.old-1" / "model").is_dir()
    again = (output / "2-again" / "model" / "adapter_config.json").stat().st_mtime_ns
    (tmp_path / "dialogues.jsonl").touch()  # another time, the same content
    train(config)
    assert (output / "2-again" / "model" / "adapter_config.json").stat().st_mtime_ns == again
    assert not (output / "1-dialogue.old-2").exists()


def test_a_long_dialogue_is_trained_in_parts(golden_run, write_config, tmp_path):

    write_dialogues([long_dialogue(40)], tmp_path / "dialogues.jsonl")
    FeatureFolder(tmp_path / "features").write("long", torch.randn(120, 10, 64))
    golden_run["stages"][0]["data"]["max_frames"] = 50
    folder = train(TrainConfig.load(write_config(golden_run)))
    assert (folder / "adapter_config.json").exists()


def long_dialogue(num_replies):
    turns = [{"role": "stream", "num_frames": 3, "learn": True}, {"role": "assistant", "content": "A red cup."}]
    return Dialogue("long", (0, 3 * num_replies), turns * num_replies)


@torch.no_grad()
def logits(model):
    model = model.eval()
    text = [{"role": "stream", "num_frames": 3}, {"role": "assistant", "content": "You see a red cup."}]
    input_ids, _ = model.template.encode(text)
    features = torch.linspace(-1, 1, 3 * 10 * 64).reshape(3, 10, 64)
    return model(torch.tensor([input_ids]), features.to(model.dtype)).logits.float()


def copy_self_contained(settings):
    folder = Path(settings["output"]).parent / "start"
    LiveModel.from_pretrained(
        GOLDENS / "adapter", llm=GOLDENS / "base", vision=GOLDENS / "vision", device="cpu", dtype="float32"
    ).save_pretrained(folder)
    settings["model"] = {"checkpoint": str(folder)}


def start_from_adapter(settings):
    settings["model"] = {"checkpoint": str(GOLDENS / "adapter")} | {
        name: settings["model"][name] for name in ("llm", "vision")
    }


def learn_in_two_stages(settings):
    settings["stages"].append(copy.deepcopy(settings["stages"][0]) | {"name": "again"})


def name_the_parts_relative_to_here(settings):
    settings["model"] |= {name: os.path.relpath(settings["model"][name]) for name in ("llm", "vision")}


@pytest.mark.parametrize(
    "prepare", [name_the_parts_relative_to_here, learn_in_two_stages, start_from_adapter, copy_self_contained]
)
def test_what_lora_leaves_is_the_trained_model(golden_run, write_config, tmp_path, monkeypatch, prepare):
    prepare(golden_run)
    golden_run["stages"][-1]["trainer"]["learning_rate"] = 1e-2
    trained = []

    def write(model, *args, **options):
        trained.append(logits(model))
        write_checkpoint(model, *args, **options)

    monkeypatch.setattr(training_run, "write_checkpoint", write)
    folder = train(TrainConfig.load(write_config(golden_run)))
    monkeypatch.chdir(tmp_path)
    last = folder.parent / f"{len(trained)}-{golden_run['stages'][-1]['name']}" / "model"
    for place, tolerance in ((last, 1e-4), (folder, 0.05)):  # the final model is in half precision
        loaded = logits(LiveModel.from_pretrained(place, device="cpu"))
        torch.testing.assert_close(loaded, trained[-1], atol=tolerance, rtol=0)


def test_bf16_trains(run, write_config):
    run["stages"][0]["trainer"].update(bf16=True, max_steps=2)
    train(TrainConfig.load(write_config(run)))
    assert len(losses(Path(run["output"]) / "1-dialogue", 2)) == 2


def launch_two(settings, path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "videollm_ros.training", "--config", str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return losses(Path(settings["output"]) / "1-dialogue", 6)


def test_two_processes_have_the_losses_of_one_with_twice_the_batch_and_go_on_after_a_kill(run, write_config, tmp_path):
    one = copy.deepcopy(run) | {"output": str(tmp_path / "one")}
    one["stages"][0]["trainer"]["per_device_train_batch_size"] = 4
    train(TrainConfig.load(write_config(one, "one.yaml")))
    path = write_config(run, "two.yaml")
    together = launch_two(run, path)
    assert together == pytest.approx(losses(tmp_path / "one" / "1-dialogue", 6), rel=2e-3)
    shutil.rmtree(Path(run["output"]) / "1-dialogue" / "checkpoint-6")
    shutil.rmtree(Path(run["output"]) / "1-dialogue" / "model")
    assert launch_two(run, path) == pytest.approx(together, abs=1e-4)
