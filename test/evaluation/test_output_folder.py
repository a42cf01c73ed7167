# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of results is whole: one kind, all files or none, and what cannot be written is said before the work."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from videollm_ros.evaluation.output_folder import BENCHMARK, SINGLE, OutputError, naming, refuse_other_results
from videollm_ros.evaluation.output_folder import whole_result as whole
from videollm_ros.evaluation.sweep import choose
from videollm_ros.sim import Tabletop
from videollm_ros.sim.video import write_video


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Three videos of 6 s."""
    folder = tmp_path_factory.mktemp("videos")
    for seed in (9010, 9011, 9012):
        write_video(Tabletop(seed, seconds=6.0), folder / f"{seed}.mp4", fps=4.0)
    return folder


@pytest.fixture(scope="module")
def result(videos, tmp_path_factory):
    """A result of one video. Copy nothing into it."""
    from videollm_ros.evaluation.__main__ import main

    out = tmp_path_factory.mktemp("result") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["videollm-evaluate", "video", str(videos / "9010.mp4"), "--output", str(out)])
        assert main() == 0
    return out


@pytest.mark.parametrize("command", ["video", "sweep"])
def test_an_output_that_cannot_be_written_is_refused_before_the_model_loads(evaluate, videos, tmp_path, command):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "events.jsonl").touch()
    for output in (tmp_path / "file", tmp_path / "file" / "below", "/proc/nope/x"):
        arguments = (command, videos / "9010.mp4", "--annotations", tmp_path / "events.jsonl", "--output", output)
        code, _, errors = evaluate(*arguments, "--checkpoint", tmp_path / "there is no model")
        assert code == 2 and f"--output {output}" in errors, errors
    assert (tmp_path / "file").read_text() == "mine"


def test_a_check_leaves_no_folder_behind(evaluate, videos, tmp_path):
    output = tmp_path / "a" / "b"
    assert evaluate("video", videos / "9010.mp4", "--checkpoint", tmp_path / "none", "--output", output)[0] == 2
    assert not (tmp_path / "a").exists()


def test_a_full_disk_names_the_file_and_leaves_the_older_result_as_it_was(evaluate, videos, result):
    before = {path.name: path.read_bytes() for path in result.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**17, hard))  # the report has no room
    try:
        code, _, errors = evaluate("video", videos / "9011.mp4", "--output", result)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2 and f"{result / 'report.html'} cannot be written: File too large." in errors
    assert {path.name: path.read_bytes() for path in result.iterdir()} == before


def test_the_files_of_a_result_appear_together(tmp_path):
    (tmp_path / "metrics.json").write_text("old")
    with pytest.raises(OutputError, match=r"b\.txt cannot be written: No space left"), whole(tmp_path) as new:
        (new / "metrics.json").write_text("new")
        with naming("b.txt"):
            raise OSError(28, "No space left on device")
    assert (tmp_path / "metrics.json").read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    with whole(tmp_path) as new:
        (new / "metrics.json").write_text("new")
        (new / "utterances.jsonl").write_text("")
        assert (tmp_path / "metrics.json").read_text() == "old"
    assert (tmp_path / "metrics.json").read_text() == "new" and (tmp_path / "utterances.jsonl").exists()


def test_results_of_another_kind_are_refused(evaluate, videos, result, tmp_path):
    before = sorted(result.iterdir())
    code, _, errors = evaluate("video", videos, "--output", result)
    assert code == 2 and "holds the results of one recording, and those of several recordings" in errors
    (tmp_path / "events.jsonl").touch()
    sweep = ("sweep", videos / "9010.mp4", "--annotations", tmp_path / "events.jsonl", "--output", result)
    assert "those of a sweep" in evaluate(*sweep)[2]
    benchmark = ("proactivevideoqa", tmp_path / "anno.json", "--videos", videos, "--output", result)
    code, _, errors = evaluate(*benchmark)
    assert code == 2 and "those of a benchmark would be mixed with them" in errors
    assert sorted(result.iterdir()) == before
    (tmp_path / "run" / "items").mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text("{}")
    refuse_other_results(tmp_path / "run", BENCHMARK)
    with pytest.raises(OutputError, match="the results of a benchmark"):
        refuse_other_results(tmp_path / "run", SINGLE)


def test_a_recording_that_fails_is_listed_and_the_others_are_evaluated(evaluate, videos, tmp_path):
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "a.mp4").write_bytes((videos / "9010.mp4").read_bytes())
    (tmp_path / "mixed" / "z.mp4").write_bytes(b"hello")
    code, out, errors = evaluate("video", tmp_path / "mixed", "--output", tmp_path / "out")
    assert code == 1 and "1 of 2 recordings" in out and "z: failed." in errors
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["of"] == 2 and len(metrics["recordings"]) == 1 and "z.mp4" in metrics["failed"]["z"]
    assert "1 of 2 recordings" in (tmp_path / "out" / "report.html").read_text()
    assert (tmp_path / "out" / "a" / "metrics.json").is_file() and not (tmp_path / "out" / "z").exists()
    code, _, errors = evaluate("video", tmp_path / "mixed" / "z.mp4", "--output", tmp_path / "alone")
    assert code == 2 and not (tmp_path / "alone").exists()


@pytest.mark.slow
def test_an_interrupted_run_says_in_one_sentence_what_is_written(videos, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "videollm_ros.evaluation", "video", str(videos), "--output", str(out)]
    command += ["--real-time"]  # which leaves time to interrupt the second
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    )
    try:
        deadline = time.monotonic() + 120
        while not (out / "9010" / "metrics.json").is_file() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in errors, errors
    assert f"interrupted. Written: {out / '9010'}." in errors
    assert not list(out.rglob(".result-*")) and not (out / "metrics.json").exists()


def row(theta, f1, false):
    return {"threshold": theta, "event_f1": f1, "false_per_quiet_minute": false}


def test_no_threshold_is_chosen_from_figures_that_are_not_there():
    assert choose([row(0.5, 0.8, 0.2), row(0.7, 0.9, 0.3), row(0.9, 0.95, 2.0)], 0.5) == 0.7
    assert choose([row(0.5, 0.8, None), row(0.7, 0.9, None)], 0.5) is None  # no quiet time
    assert choose([row(0.5, 0.0, 0.0), row(0.7, None, 0.0)], 0.5) is None  # nothing told
