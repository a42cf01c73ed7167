# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands `stream` and `dialogues` on the golden dialogues: figures, missing files, a kill, two processes."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from videollm_ros.evaluation.benchmarks.processes import Processes

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


def start(arguments, output, processes):
    """Start the command in processes of its own, in a session of their own."""
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", str(processes), "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    spread = launch if processes > 1 else []
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
    run = start([*command("dialogues"), "--device", "cpu"], tmp_path / "two", processes=2)
    _, said = run.communicate(timeout=300)
    assert run.returncode == 0, said
    for name in ("utterances.jsonl", "decisions.csv", "metrics.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_where_it_stood(evaluate, command, tmp_path):
    run = start([*command("dialogues"), "--device", "cpu"], tmp_path, processes=1)
    deadline = time.monotonic() + 240
    while not list(tmp_path.glob("items/*.json")) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate(timeout=60)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("items/*.json")}
    assert before
    assert evaluate(*command("dialogues"), "--device", "cpu", "--output", tmp_path)[0] == 0
    assert len(metrics_of(tmp_path)["items"]) == 3
    assert all(path.stat().st_mtime_ns == changed for path, changed in before.items())
