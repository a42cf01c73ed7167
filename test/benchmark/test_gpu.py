# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of a GPU goes on when a part fails, ends a part that hangs, and does only what is missing."""

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BENCHMARK = Path(__file__).parents[2] / "benchmark"
sys.path.insert(0, str(BENCHMARK))
gpu, step = importlib.import_module("gpu"), importlib.import_module("step")
sys.path.pop(0)


def part(name: str, code: str, minutes: float = 1.0):
    return gpu.Part(name, (sys.executable, "-c", code), minutes)


def test_it_goes_on_when_a_part_fails_and_keeps_what_each_said(tmp_path):
    parts = [part("one", "print('words')"), part("two", "import sys; sys.exit(3)"), part("three", "print(3)")]
    summary = gpu.run_parts(parts, tmp_path)
    assert [summary[name]["status"] for name in ("one", "two", "three")] == ["ok", "failed with exit code 3", "ok"]
    assert (tmp_path / "one.log").read_text() == "words\n"
    assert json.loads((tmp_path / "summary.json").read_text()) == summary


def test_a_second_call_does_only_what_is_missing(tmp_path):
    count = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')"
    fails = f"{count}; import os, sys; sys.exit(0 if os.path.exists({str(tmp_path / 'mended')!r}) else 1)"
    parts = [part("good", count), part("bad", fails)]
    gpu.run_parts(parts, tmp_path)
    (tmp_path / "mended").touch()
    summary = gpu.run_parts(parts, tmp_path)
    assert (tmp_path / "runs").read_text() == "xxx"
    assert {entry["status"] for entry in summary.values()} == {"ok"}


def test_a_part_that_hangs_ends_with_its_children(tmp_path):
    code = "import subprocess, sys, time\n"
    code += "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    code += f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\ntime.sleep(600)"
    # Long enough for the child to be noted on a busy machine, as the part itself does the noting.
    summary = gpu.run_parts([part("hangs", code, 10 / 60), part("next", "")], tmp_path)
    assert summary["hangs"]["status"].startswith("stopped after")
    assert summary["next"]["status"] == "ok"
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 30
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_every_part_is_a_script_with_the_options_it_is_given(tmp_path):
    for one in gpu.make_parts(tmp_path, "8b", "1b", "cuda"):
        script = Path(one.command[1])
        if script.name == "-m":
            continue
        source = script.read_text()
        if "parse_arguments" in source:
            source += (BENCHMARK / "demo_streams.py").read_text()
        options = {word for word in one.command[2:] if word.startswith("--")}
        assert not [option for option in options if f'"{option}"' not in source], one


def test_a_part_of_the_demo_runs_on_a_cpu(tmp_path):
    command = [sys.executable, BENCHMARK / "gpu.py", "--output", tmp_path, "--device", "cpu", "--geometry", "demo"]
    subprocess.run([*command, "--parts", "profile"], check=True, timeout=300)
    assert json.loads((tmp_path / "profile.json").read_text())["profile"]["kernels"]
    assert (tmp_path / "trace.json").stat().st_size > 1000


def test_a_step_is_timed_at_every_length_that_fits(tmp_path, monkeypatch):
    options = f"--device cpu --steps 3 --cached 100 900 9000 --json {tmp_path / 'step.json'}"
    monkeypatch.setattr(sys, "argv", ["step.py", *options.split()])
    step.main()
    rows = json.loads((tmp_path / "step.json").read_text())["steps"]
    assert [row["cached_tokens"] for row in rows] == [100, 900]
    assert all(row["frame_p99_ms"] >= row["frame_p50_ms"] > 0 and row["floor_ms"] > 0 for row in rows)
