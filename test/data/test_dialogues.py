# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dialogue files: what is wrong with one is said with file, line and what was expected."""

import json

import pytest
import torch
from safetensors.torch import save_file

from videollm_ros.data import Dialogue, DialogueError, FeatureFolder, read_dialogues
from videollm_ros.data.dialogues import write_dialogues

GOOD = [
    {"role": "stream", "num_frames": 3, "learn": True},
    {"role": "assistant", "content": "A red cup appears.", "learn": True},
]


def line(conversation=GOOD, frames=(0, 3), video="v"):
    return json.dumps({"video": video, "frames": list(frames), "conversation": conversation})


@pytest.mark.parametrize("text", ["A red cup appears.", "Une tasse.\u2028Rouge.\x85 \u6771"])
def test_what_is_written_is_read(tmp_path, text):
    path, conversation = tmp_path / "d.jsonl", [GOOD[0], GOOD[1] | {"content": text}]
    write_dialogues([Dialogue("v", (0, 3), conversation)], path)
    (dialogue,) = read_dialogues(path)
    assert (dialogue.video, dialogue.frames, dialogue.conversation) == ("v", (0, 3), conversation)
    assert dialogue.source == f"{path}:1"


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (line(frames=(0, 5)), "stream turns of 3 frames in all, but frames [0, 5] are 5"),
        (line([{"role": "robot", "content": "x"}]), "message 0 has the unknown role 'robot'"),
        (line([GOOD[0], {"role": "assistant", "content": " "}]), "message 1 is an empty reply"),
        (line([GOOD[0], {"role": "user", "content": ""}]), "message 1 is an empty query"),
        (line([{"role": "stream", "num_frames": 0}]), "num_frames 0; expected an integer >= 1"),
        (line(frames=(3, 0)), "0 <= start <= stop"),
        ("{", "not valid JSON"),
        ('{"video": "v"}', 'expected {"video": id, "frames": [start, stop], "conversation": [...]}'),
        ('{"video": "v", "frames": [0, 3], "conversations": []}', 'expected {"video": id, "frames": [start, stop]'),
        (line([]), "conversation is a list of messages"),
        (line([GOOD[1], GOOD[0]]), "message 0 has the role assistant, which cannot come first"),
        (line([*GOOD, GOOD[1]]), "message 2 has the role assistant, which cannot follow assistant"),
        (line([GOOD[0], {"role": "system", "content": "x"}]), "message 1 has the role system, which cannot follow"),
        (line([*GOOD, {"role": "user", "content": "x", "answer": False}, GOOD[1]]), "message 3 answers an instruction"),
        (line([GOOD[0] | {"learn": -1}]), "message 0 has learn -1"),
        (line([GOOD[0], GOOD[1] | {"answer": False}]), "only a user turn has"),
        (line([GOOD[0], {"role": "user", "content": "a \\ud800 b"}]).replace("\\\\", "\\"), "is not valid text"),
        (line(video="../other"), "the video id '../other' is not allowed"),
        (line(video="/etc/passwd"), "the video id '/etc/passwd' is not allowed"),
        (line(video="a/../../b"), "is not allowed"),
        (line(video=""), "the video id '' is not allowed"),
    ],
)
def test_a_bad_line_is_named_with_what_was_expected(tmp_path, bad, says):
    path = tmp_path / "d.jsonl"
    path.write_text(f"{line()}\n\n{bad}\n")
    with pytest.raises(DialogueError) as error:
        read_dialogues(path)
    assert str(error.value).startswith(f"{path}:3: ")
    assert says in str(error.value)


def test_a_dialogue_without_frames_needs_no_video(tmp_path):
    path = tmp_path / "d.jsonl"
    asked = [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "Your eyes.", "learn": True}]
    path.write_text(json.dumps({"video": None, "frames": [0, 0], "conversation": asked}))
    (dialogue,) = read_dialogues(path)
    assert (dialogue.video, dialogue.num_frames) == ("", 0)


@pytest.mark.parametrize("video", ["../v", "/v", "a/../../v"])
def test_features_are_never_read_or_written_outside_their_folder(tmp_path, video):
    with pytest.raises(ValueError, match="is not allowed"):
        FeatureFolder(tmp_path / "features").write(video, torch.zeros(1, 1, 4))
    assert not list(tmp_path.iterdir())
    assert FeatureFolder(tmp_path).path("kitchen/7") == tmp_path / "kitchen" / "7.safetensors"


def test_a_missing_or_empty_file_is_an_error(tmp_path):
    with pytest.raises(DialogueError, match="is not a file"):
        read_dialogues(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DialogueError, match="holds no dialogue"):
        read_dialogues(tmp_path / "empty.jsonl")


def test_a_file_in_another_encoding_is_an_error(tmp_path):
    (tmp_path / "latin.jsonl").write_bytes(line().replace("red", "\\u00e9").encode() + "é".encode("latin-1"))
    with pytest.raises(DialogueError, match=r"latin\.jsonl:1: not UTF-8 text"):
        read_dialogues(tmp_path / "latin.jsonl")


def test_only_the_dialogues_frames_are_read_from_the_stored_features(tmp_path):
    folder, features = FeatureFolder(tmp_path), torch.arange(24.0).view(6, 2, 2)
    folder.write("v", features)
    assert torch.equal(folder.read(Dialogue("v", (2, 5), [{"role": "stream", "num_frames": 3}])).float(), features[2:5])


def test_a_video_shorter_than_its_dialogue_is_an_error(tmp_path):
    folder = FeatureFolder(tmp_path)
    folder.write("v", torch.zeros(2, 1, 4))
    with pytest.raises(DialogueError, match=r"d.jsonl:7: the dialogue ends at frame 3, but the video v has only 2"):
        folder.read(Dialogue("v", (0, 3), GOOD, "d.jsonl:7"))


def test_a_file_that_holds_no_features_is_an_error(tmp_path):
    save_file({"pixels": torch.zeros(3, 1, 4)}, tmp_path / "v.safetensors")
    with pytest.raises(DialogueError, match="the features of video v cannot be read"):
        FeatureFolder(tmp_path).shape(Dialogue("v", (0, 3), GOOD))


def test_a_video_without_features_is_an_error(tmp_path):
    with pytest.raises(DialogueError, match="the features of video v cannot be read"):
        FeatureFolder(tmp_path).read(Dialogue("v", (0, 3), GOOD))
