# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dialogues as samples: what is random in them, and those that the decoder cannot read."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from videollm_ros.data import Dialogue, DialogueError, FeatureFolder
from videollm_ros.data.dialogues import write_dialogues
from videollm_ros.live import LiveModel
from videollm_ros.training.config import DataConfig, TrainConfig
from videollm_ros.training.run import train
from videollm_ros.training.samples import DialogueSamples, file_sources

GOLDENS = Path(__file__).parents[1] / "goldens" / "live1plus"


@pytest.fixture(scope="module")
def model():
    return LiveModel.from_pretrained(
        GOLDENS / "adapter", llm=GOLDENS / "base", vision=GOLDENS / "vision", device="cpu", dtype="float32"
    )


@pytest.fixture
def store(tmp_path, model):
    """Writes dialogues of these numbers of frames, and features; returns their configuration."""

    def write(*lengths, **settings):
        dialogues = []
        for number, length in enumerate(lengths):
            conversation = [
                {"role": "stream", "num_frames": length, "learn": True},
                {"role": "assistant", "content": "A cup.", "learn": True},
            ]
            dialogues.append(Dialogue(f"v{number}", (0, length), conversation))
            FeatureFolder(tmp_path / "features").write(f"v{number}", torch.zeros(length, 10, 64))
        write_dialogues(dialogues, tmp_path / "dialogues.jsonl")
        return DataConfig(dialogues=str(tmp_path / "dialogues.jsonl"), features=str(tmp_path / "features"), **settings)

    return write


def samples_of(data, model):
    return DialogueSamples(file_sources(data, model), model, data, 0, frames=data.videos is not None)


def test_a_dialogue_longer_than_the_decoder_reads_is_named(store, model, tmp_path):
    most = model.llm.config.max_position_embeddings
    samples_of(store(4, most // 11 - 20), model).check_lengths()
    with pytest.raises(DialogueError) as error:
        samples_of(store(4, most), model).check_lengths()
    assert str(error.value).startswith(f"{tmp_path / 'dialogues.jsonl'}:2: the dialogue of {most} frames has ")
    assert f"the decoder reads {most} at most" in str(error.value)


def test_features_of_another_model_are_named(store, model, tmp_path):
    data = store(4, 4)
    FeatureFolder(data.features).write("v1", torch.zeros(4, 7, 64))
    with pytest.raises(DialogueError, match=r"l:2: the features of video v1 are \[7, 64\] per frame, .* \[10, 64\]"):
        file_sources(data, model)


def test_a_run_looks_at_the_lengths_before_it_trains(store, run, write_config):
    data = store(4, 300)
    run["model"] = {"llm": str(GOLDENS / "base"), "vision": str(GOLDENS / "vision"), "live": {"frame_resolution": 96}}
    run["stages"][0]["data"] = {"dialogues": data.dialogues, "features": data.features}
    with pytest.raises(DialogueError, match="the decoder reads 2048 at most"):
        train(TrainConfig.load(write_config(run)))
    assert not list(Path(run["output"]).glob("*/checkpoint-*"))


def test_what_is_random_is_another_in_each_epoch_and_the_same_within_one(store, model):
    samples = samples_of(store(30, silent_share=0.5), model)
    first = samples[0].labels
    assert samples[0].labels == first
    samples.set_epoch(1)
    assert samples[0].labels != first
    samples.set_epoch(0)
    assert samples[0].labels == first


def test_training_tells_the_samples_which_epoch_it_is(run, write_config, monkeypatch):
    told = []
    monkeypatch.setattr(DialogueSamples, "set_epoch", lambda _, epoch: told.append(epoch))
    train(TrainConfig.load(write_config(run)))  # 6 steps of 2 of the 8 samples
    assert sorted(set(told)) == [0, 1]
    assert told == sorted(told)


@pytest.fixture
def videos(tmp_path):
    """A folder with "grey", 4 s at 5 Hz; picture i is of level 10 * i."""
    (tmp_path / "videos").mkdir()
    with av.open(str(tmp_path / "videos" / "grey.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 64, 48, "yuv420p", 4_000_000
        for index in range(20):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * index, np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return tmp_path / "videos"


def frames_of(videos, start, stop, model):
    conversation = [{"role": "stream", "num_frames": stop - start, "learn": True}]
    write_dialogues([Dialogue("grey", (start, stop), conversation)], videos / "dialogues.jsonl")
    data = DataConfig(dialogues=str(videos / "dialogues.jsonl"), videos=str(videos))
    return samples_of(data, model)[0].frames


def test_frames_of_a_video_are_those_of_the_dialogue_fitted_to_the_tower(videos, model):
    frames = frames_of(videos, 2, 6, model)
    assert frames.shape == (4, 3, 96, 96)
    middle = frames[:, :, 40:56].float().mean((1, 2, 3))
    assert middle.tolist() == pytest.approx([50, 70, 100, 120], abs=4)  # at 1, 1.5, 2 and 2.5 s


def test_a_video_that_cannot_be_read_is_named_with_its_dialogue(videos, model, tmp_path):
    (videos / "torn.mp4").write_bytes(b"this is no film")
    dialogue = Dialogue("torn", (0, 2), [{"role": "stream", "num_frames": 2}])
    write_dialogues([dialogue], tmp_path / "dialogues.jsonl")
    (source,) = file_sources(DataConfig(dialogues=str(tmp_path / "dialogues.jsonl"), videos=str(videos)), model)
    with pytest.raises(DialogueError, match=r"dialogues.jsonl:1: .*torn.mp4 cannot be read as a video"):
        source.read(source.dialogue)


def test_a_video_shorter_than_its_dialogue_is_named(videos, model):
    with pytest.raises(DialogueError, match=r"dialogues.jsonl:1: the dialogue ends at frame 20, .* grey has only 8"):
        frames_of(videos, 10, 20, model)
