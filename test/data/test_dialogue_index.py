# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The index of a dialogue file: made once, as long as the file and the way of cutting it stay the same."""

import json
import os
import stat

import numpy as np
import pytest

from videollm_ros.data import DialogueError
from videollm_ros.data.dialogue_index import DialogueIndex, file_digest


def line(number, num_frames=3):
    turns = [{"role": "stream", "num_frames": num_frames}, {"role": "assistant", "content": f"\u6771 {number}."}]
    return json.dumps({"video": f"v{number}", "frames": [0, num_frames], "conversation": turns}, ensure_ascii=False)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "dialogues.jsonl"
    path.write_text("\n".join([line(0), "", line(1, 5), line(2)]) + "\n", encoding="utf-8")
    return path


class Parts:
    """Cuts dialogues in halves, and counts how many it has seen."""

    def __init__(self):
        self.calls = 0

    def __call__(self, dialogue):
        self.calls += 1
        start, stop = dialogue.frames
        return [(start, 1), (1, stop)]


def test_samples_are_the_parts_of_the_lines(path):
    index = DialogueIndex(path, Parts(), "halves")
    assert len(index) == 6
    dialogue, start, stop = index[3]
    assert (dialogue.video, start, stop, dialogue.source) == ("v1", 1, 5, f"{path}:3")
    assert [index[number][0].video for number in range(6)] == ["v0", "v0", "v1", "v1", "v2", "v2"]


def test_the_index_is_made_once(path):
    DialogueIndex(path, Parts(), "halves")
    again = Parts()
    index = DialogueIndex(path, again, "halves")
    assert again.calls == 0
    assert isinstance(index._rows, np.memmap)


def test_another_file_or_another_cut_makes_another_index(path):
    DialogueIndex(path, Parts(), "halves")
    other = Parts()
    assert len(DialogueIndex(path, other, "other")) == 6
    assert other.calls == 3
    path.write_text(line(7) + "\n", encoding="utf-8")
    assert len(DialogueIndex(path, Parts(), "halves")) == 2


def test_a_bad_line_leaves_no_index(path, cache_folder):
    with path.open("a") as file:
        file.write("{}\n")
    for _ in range(2):
        with pytest.raises(DialogueError, match=r"dialogues\.jsonl:5: expected"):
            DialogueIndex(path, Parts(), "halves")
    assert not list(cache_folder.glob("*.npy"))


def test_a_missing_or_empty_file_is_an_error(tmp_path):
    with pytest.raises(DialogueError, match="is not a file"):
        DialogueIndex(tmp_path / "none.jsonl", Parts(), "halves")
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(DialogueError, match="holds no dialogue"):
        DialogueIndex(tmp_path / "empty.jsonl", Parts(), "halves")


def test_a_read_only_cache_folder_is_no_obstacle(path, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # not even root makes a folder below a file
    assert len(DialogueIndex(path, Parts(), "halves")) == 6


def test_the_digest_is_of_the_content(path, tmp_path):
    digest = file_digest(path)
    os.utime(path, ns=(1, 1))
    assert file_digest(path) == digest
    path.write_text(path.read_text().replace("v0", "v9"))
    os.utime(path, ns=(1, 2))
    assert file_digest(path) != digest
    assert file_digest(tmp_path / "none") is None
    assert stat.S_ISREG(path.stat().st_mode)
