# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands `stream` and `dialogues` on the golden dialogues: figures, missing files, a kill, two processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from videollm_ros.assistant import AssistantSettings
from videollm_ros.data.dialogues import Dialogue
from videollm_ros.evaluation.benchmarks.live_dialogues import script_of
from videollm_ros.evaluation.benchmarks.processes import Processes
from videollm_ros.evaluation.benchmarks.watch import watch_features

METRICS = ("lm_ppl", "fluency", "lm_correctness")


@pytest.fixture(scope="module")
def dialogues(tmp_path_factory, goldens, golden_tensors):
    """The three golden dialogues, their features in full precision, and one dialogue without features."""
    folder = tmp_path_factory.mktemp("dialogues")
    lines = []
    for number, dialogue in enumerate(goldens["dialogues"]):
        first, count = dialogue["first_frame"], dialogue["num_frames"]
        features = golden_tensors["vision_features"][first : first + count].contiguous()
        (folder / "features").mkdir(exist_ok=True)
        save_file({"features": features}, folder / "features" / f"golden{number}.safetensors")
        lines.append({"video": f"golden{number}", "frames": [0, count], "conversation": dialogue["conversation"]})
    lines.append(lines[0] | {"video": "lost"})
    (folder / "dialogues.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def command(dialogues, golden_paths):
    """The arguments of a command on the golden dialogues, but for --output."""
    model = [part for name, path in golden_paths.items() for part in (f"--{name}", path)]
    footage = ["--features", str(dialogues / "features")]
    return lambda name: [name, str(dialogues / "dialogues.jsonl"), *footage, *model, "--dtype", "float32"]


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


@pytest.mark.parametrize("threshold", ["0.0", "0.725"])
def test_stream_gives_the_figures_of_the_public_implementation(evaluate, command, goldens, tmp_path, threshold):
    code, out, said = evaluate(*command("stream"), "--threshold", threshold, "--output", tmp_path)
    assert code == 0, said
    found = metrics_of(tmp_path)
    for item, dialogue in zip(found["items"], goldens["dialogues"], strict=True):
        wanted = dialogue["metrics"][threshold]
        for name in METRICS:
            assert item["figures"][name] == pytest.approx(wanted[name], abs=1e-4)
        assert item["figures"]["time_diff"] == pytest.approx(wanted["frame_diff"] / 2, abs=1e-4)
    for name in METRICS:
        mean = sum(dialogue["metrics"][threshold][name] for dialogue in goldens["dialogues"]) / 3
        assert found[name] == pytest.approx(mean, abs=1e-4)
    assert "validation narrations" in out


def test_what_is_missing_is_listed_and_left_out(evaluate, command, tmp_path):
    code, _, said = evaluate(*command("stream"), "--output", tmp_path)
    assert code == 0 and "The features of lost are missing" in said
    found = metrics_of(tmp_path)
    assert list(found["missing"]) == ["4 lost"] and len(found["items"]) == 3


def test_trivial_baselines_stand_beside_the_figures(evaluate, command, tmp_path):
    evaluate(*command("stream"), "--output", tmp_path)
    baselines = metrics_of(tmp_path)["baselines"]
    assert baselines["speech at every frame"]["time_diff"] > 0
    assert set(baselines) == {"silence", "speech at every frame"}


def test_dialogues_are_run_live_and_scored_like_recordings(evaluate, command, goldens, tmp_path):
    code, _, said = evaluate(*command("dialogues"), "--output", tmp_path)
    assert code == 0, said
    found = metrics_of(tmp_path)
    assert {"event_f1", "pauc", "false_per_quiet_minute", "answered"} <= set(found)
    assert found["frames"] == sum(dialogue["num_frames"] for dialogue in goldens["dialogues"])
    rows = (tmp_path / "decisions.csv").read_text().splitlines()
    assert rows[0].startswith("item,stamp,time") and len(rows) == found["frames"] + 1
    lines = [json.loads(line) for line in (tmp_path / "utterances.jsonl").read_text().splitlines()]
    pairs = [
        pair for dialogue in goldens["dialogues"] for pair in pairwise(m["role"] for m in dialogue["conversation"])
    ]
    answered = pairs.count(("user", "assistant"))  # a text that no reply follows is an instruction
    assert sum(line["query"] is not None for line in lines) == answered > 0
    assert (tmp_path / "report.html").stat().st_size > 1000


def test_a_second_run_reads_what_the_first_left_and_other_settings_are_refused(evaluate, command, tmp_path):
    assert evaluate(*command("stream"), "--output", tmp_path)[0] == 0
    records = {json.loads(path.read_text())["transcript"]["name"]: path for path in tmp_path.glob("items/*.json")}
    record = json.loads(records["2 golden1"].read_text())
    record["values"]["lm_ppl"] = 1000.0
    records["2 golden1"].write_text(json.dumps(record))
    records["3 golden2"].unlink()
    assert evaluate(*command("stream"), "--output", tmp_path)[0] == 0
    items = metrics_of(tmp_path)["items"]
    assert items[1]["figures"]["lm_ppl"] == 1000.0 and len(items) == 3
    code, _, said = evaluate(*command("stream"), "--threshold", 0.5, "--output", tmp_path)
    assert code == 2 and "holds results of another run" in said


def test_features_of_another_tower_are_named_and_the_others_are_scored(evaluate, command, dialogues, tmp_path):
    wrong = tmp_path / "features"
    wrong.mkdir()
    for path in (dialogues / "features").iterdir():
        (wrong / path.name).symlink_to(path)
    (wrong / "golden1.safetensors").unlink()
    save_file({"features": torch.zeros(24, 3, 8)}, wrong / "golden1.safetensors")
    arguments = [str(wrong) if each == str(dialogues / "features") else each for each in command("stream")]
    code, _, said = evaluate(*arguments, "--output", tmp_path / "out")
    assert code == 1 and "another vision tower" in said
    assert len(metrics_of(tmp_path / "out")["items"]) == 2


def test_another_decoder_under_the_same_checkpoint_is_another_run(evaluate, command, golden_paths, tmp_path):
    other = tmp_path / "base"
    shutil.copytree(golden_paths["llm"], other)
    arguments = [str(other) if each == golden_paths["llm"] else each for each in command("stream")]
    assert evaluate(*arguments, "--output", tmp_path / "out")[0] == 0
    assert evaluate(*arguments, "--output", tmp_path / "out")[0] == 0
    (path,) = other.glob("*.safetensors")
    weights = {name: tensor * 1.1 for name, tensor in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    code, _, said = evaluate(*arguments, "--output", tmp_path / "out")
    assert code == 2 and "(checkpoint differ)" in said
    before = metrics_of(tmp_path / "out")["checkpoint"]
    assert evaluate(*arguments, "--output", tmp_path / "fresh")[0] == 0
    after = metrics_of(tmp_path / "fresh")["checkpoint"]
    assert {name for name in before if before[name] != after[name]} == {"decoder"}


@pytest.fixture
def own_features(command, dialogues, tmp_path):
    """A copy of the features, and the arguments of a command on them."""
    folder = tmp_path / "own"
    shutil.copytree(dialogues / "features", folder)
    return folder, lambda name: [str(folder) if each == str(dialogues / "features") else each for each in command(name)]


def test_an_item_is_run_again_when_its_footage_has_changed(evaluate, own_features, tmp_path):
    folder, command = own_features
    assert evaluate(*command("stream"), "--output", tmp_path / "out")[0] == 0
    before = metrics_of(tmp_path / "out")["items"]
    features = load_file(folder / "golden1.safetensors")["features"]
    save_file({"features": features.flip(0).contiguous()}, folder / "golden1.safetensors")
    assert evaluate(*command("stream"), "--output", tmp_path / "out")[0] == 0
    after = metrics_of(tmp_path / "out")["items"]
    assert [one["figures"] == other["figures"] for one, other in zip(before, after, strict=True)] == [True, False, True]


def test_stored_features_and_videos_are_not_mixed(evaluate, command, dialogues, tmp_path):
    assert evaluate(*command("stream"), "--output", tmp_path / "out")[0] == 0
    videos = ["--videos" if each == "--features" else each for each in command("stream")]
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "golden0").mkdir()
    videos[videos.index("--videos") + 1] = str(tmp_path / "videos")
    code, _, said = evaluate(*videos, "--output", tmp_path / "out")
    assert code == 2 and "(settings differ)" in said


def test_an_item_that_fails_costs_itself_alone_and_stands_beside_the_figures_as_silence(
    evaluate, own_features, tmp_path
):
    folder, command = own_features
    features = load_file(folder / "golden1.safetensors")["features"]
    save_file({"features": torch.full_like(features, torch.nan)}, folder / "golden1.safetensors")
    code, out, said = evaluate(*command("dialogues"), "--output", tmp_path / "out")
    assert code == 1 and "not finite" in said
    assert "2 of 4 items scored" in out and "unscored items as silence" in out
    found = metrics_of(tmp_path / "out")
    assert found["failed"] == ["2 golden1"] and list(found["missing"]) == ["4 lost", "2 golden1"]
    assert found["unscored_as_silence"]["answered"] < found["answered"]
    save_file({"features": features}, folder / "golden1.safetensors")
    assert evaluate(*command("dialogues"), "--output", tmp_path / "out")[0] == 0
    assert metrics_of(tmp_path / "out")["scored"] == 3


def test_when_every_item_fails_there_are_no_figures(evaluate, own_features, tmp_path):
    folder, command = own_features
    for path in folder.iterdir():
        save_file({"features": torch.full((24, 10, 48), torch.nan)}, path)
    code, _, said = evaluate(*command("dialogues"), "--output", tmp_path / "out")
    assert code == 2 and "Every item of dialogues failed" in said


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"values": {}}'])
def test_an_item_whose_file_is_damaged_is_run_again(evaluate, command, tmp_path, damage):
    assert evaluate(*command("stream"), "--output", tmp_path)[0] == 0
    before = metrics_of(tmp_path)
    next(iter(tmp_path.glob("items/*.json"))).write_text(damage)
    assert evaluate(*command("stream"), "--output", tmp_path)[0] == 0
    assert metrics_of(tmp_path) == before


def test_a_damaged_description_of_a_run_is_named(evaluate, command, tmp_path):
    assert evaluate(*command("stream"), "--output", tmp_path)[0] == 0
    (tmp_path / "run.json").write_text("")
    code, _, said = evaluate(*command("stream"), "--output", tmp_path)
    assert code == 2 and f"{tmp_path / 'run.json'} is damaged" in said


def test_a_limit_hides_nothing_that_is_missing_and_frames_are_counted_without_decisions(
    evaluate, command, goldens, tmp_path
):
    assert evaluate(*command("stream"), "--limit", 1, "--output", tmp_path)[0] == 0
    found = metrics_of(tmp_path)
    assert list(found["missing"]) == ["4 lost"] and (found["scored"], found["of"]) == (1, 1)
    assert found["frames"] == goldens["dialogues"][0]["num_frames"]


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("stream", ["--threshold", "nan"], "a probability from 0 to 1"),
        ("stream", ["--threshold", "7"], "a probability from 0 to 1"),
        ("dialogues", ["--tolerance", "nan"], "a number of seconds from 0"),
        ("dialogues", ["--tolerance", "inf"], "a number of seconds from 0"),
        ("dialogues", ["--fps", "nan"], "a rate in Hz from 0 to 1000"),
        ("dialogues", ["--match", "judge"], "--judge-model"),
        ("lta", ["--window", "-4"], "--window -4"),
        ("coin", ["--window", "-4"], "--window -4"),
        ("coin", ["--tasks", "step", "step"], "name each task once"),
    ],
)
def test_options_are_checked_before_a_model_is_loaded(evaluate, command, tmp_path, name, options, sentence):
    arguments = [*command(name), "--checkpoint", str(tmp_path / "missing")]
    code, _, said = evaluate(*arguments, *options, "--output", tmp_path / "out")
    assert code == 2 and sentence in said and said.count("\n") == 1


def test_annotations_that_are_no_text_are_refused_in_one_sentence(evaluate, command, tmp_path):
    path = tmp_path / "COIN.json"
    path.write_bytes(b'{"database": {"\xe9": {}}}')
    code, _, said = evaluate("coin", path, *command("coin")[2:], "--output", tmp_path / "out")
    assert code == 2 and f"{path} is no UTF-8 text" in said and said.count("\n") == 1


def stream(num_frames):
    return {"role": "stream", "num_frames": num_frames}


def test_an_instruction_is_given_before_its_own_frame():
    conversation = [
        {"role": "user", "content": "Tell me about cups."},
        stream(4),
        {"role": "user", "content": "Now about lamps."},
        {"role": "user", "content": "All of them."},
        stream(6),
        {"role": "assistant", "content": "A lamp."},
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "content": "Nothing."},
        {"role": "user", "content": "Go on."},
    ]
    script = script_of(Dialogue("v", (0, 10), conversation), 2.0)
    assert script.instructions == {0: "Tell me about cups.", 4: "Now about lamps. All of them."}
    assert [(query.time, query.text) for query in script.queries] == [(4.5, "And now?")]
    assert [event.text for event in script.events] == ["A lamp."] and len(script.notes) == 1


@pytest.mark.parametrize("window", [0, 30])
def test_the_model_reads_an_instruction_where_it_stands(golden_model, golden_tensors, window):
    features, settings = golden_tensors["vision_features"], AssistantSettings()

    def probabilities(instructions):
        run = watch_features(golden_model, features, "v", settings, [], window, instructions)
        return [decision.speak_probability for decision in run.decisions]

    without, told = probabilities({}), probabilities({12: "Tell me about lamps."})
    assert told[:12] == pytest.approx(without[:12], abs=1e-5)
    assert max(abs(one - other) for one, other in zip(told[12:], without[12:], strict=True)) > 1e-4


def start(arguments, output, processes):
    """Start the command in processes of its own, in a session of their own."""
    spread = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    spread = spread if processes > 1 else []
    command = [sys.executable, *spread, "-m", "videollm_ros.evaluation", *arguments, "--output", str(output)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_processes_share_all_items_and_no_item_twice(count):
    shares = []
    for index in range(count):
        processes = Processes.__new__(Processes)
        processes._state = SimpleNamespace(process_index=index, num_processes=count)
        shares.append(processes.share(list(range(7))))
    assert sorted(number for share in shares for number in share) == list(range(7))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.slow
def test_two_processes_give_the_same_figures_as_one(evaluate, command, tmp_path):
    assert evaluate(*command("dialogues"), "--device", "cpu", "--output", tmp_path / "one")[0] == 0
    run = start(command("dialogues"), tmp_path / "two", processes=2)  # without --device as well
    _, said = run.communicate(timeout=300)
    assert run.returncode == 0, said
    assert "2 processes share 3 items" in said
    for name in ("utterances.jsonl", "decisions.csv", "metrics.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_of_which_a_process_was_killed_goes_on_where_it_stood(evaluate, command, tmp_path, processes):
    run = start([*command("dialogues"), "--device", "cpu"], tmp_path, processes)
    deadline = time.monotonic() + 240
    while not list(tmp_path.glob("items/*.json")) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    os.kill(int(children[-1]) if processes > 1 else run.pid, signal.SIGKILL)
    run.communicate(timeout=60)
    assert run.returncode != 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("items/*.json")}
    assert before
    assert evaluate(*command("dialogues"), "--device", "cpu", "--output", tmp_path)[0] == 0
    assert len(metrics_of(tmp_path)["items"]) == 3
    assert all(path.stat().st_mtime_ns == changed for path, changed in before.items())
