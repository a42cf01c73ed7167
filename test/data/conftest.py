# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line in this process, with what it wrote and said; indexes of dialogues are in the test's own folder."""

import json
from dataclasses import dataclass

import pytest

from videollm_ros.data.__main__ import main


@dataclass
class Converted:
    code: int
    lines: list
    said: str

    def texts(self, line=0):
        """The messages as "3" for three frames, "> query", "sentence"."""
        return [
            str(m["num_frames"]) if m["role"] == "stream" else "> " * (m["role"] == "user") + m["content"]
            for m in self.lines[line]["conversation"]
        ]


@pytest.fixture
def convert(tmp_path, capsys):
    def run(source, *annotations, durations=None, output="out.jsonl", options=()):
        path, output = tmp_path / "durations.json", tmp_path / output
        path.write_text(json.dumps(durations if durations is not None else {"a": 10.0}))
        annotations = ["--annotations", *map(str, annotations)] if annotations else []
        options = [str(option) for option in options]
        arguments = ["convert", source, *annotations, "--durations", str(path), "--output", str(output), *options]
        code = main(arguments)
        lines = [json.loads(line) for line in output.read_text().splitlines()] if output.is_file() else []
        captured = capsys.readouterr()
        return Converted(code, lines, captured.out + captured.err)

    return run


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "videollm_ros" / "dialogues"
