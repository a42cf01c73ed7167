# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dialogues as samples: what is random in them, and those that the decoder cannot read."""

from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from videollm_ros.data import Dialogue, DialogueError, FeatureFolder
from videollm_ros.data.dialogues import write_dialogues
from videollm_ros.data.samples import DialogueSamples
from videollm_ros.data.sources import FEATURES, FRAMES, DataConfig, open_sources
from videollm_ros.live import LiveModel

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
    visual = FEATURES if data.videos is None else FRAMES
    return DialogueSamples(open_sources(data, model, 0), model, data, 0, visual)


def test_text_that_the_decoder_cannot_read_is_named(tmp_path, model):
    most = model.llm.config.max_position_embeddings
    turns = [{"role": "stream", "num_frames": 2, "learn": True}, {"role": "assistant", "content": "cup " * most}]
    write_dialogues([Dialogue("v", (0, 2), turns)], tmp_path / "long.jsonl")
    data = DataConfig(dialogues=str(tmp_path / "long.jsonl"), synthetic="black")
    with pytest.raises(DialogueError) as error:
        open_sources(data, model, 0)
    assert str(error.value).startswith(f"{tmp_path / 'long.jsonl'}:1: frame 1 with the text that belongs to it has ")
    assert f"the decoder reads {most} at most" in str(error.value)


def test_features_of_another_model_are_named(store, model):
    data = store(4, 4)
    FeatureFolder(data.features).write("v1", torch.zeros(4, 7, 64))
    with pytest.raises(DialogueError, match=r"l:2: the features of video v1 are \[7, 64\] per frame, .* \[10, 64\]"):
        samples_of(data, model).check()


def test_a_dialogue_longer_than_its_features_is_named_before_training(store, model):
    data = store(4, 4)
    FeatureFolder(data.features).write("v1", torch.zeros(3, 10, 64))
    with pytest.raises(DialogueError, match="l:2: the dialogue ends at frame 4, but the video v1 has only 3"):
        samples_of(data, model).check()


def test_what_is_random_is_another_in_each_epoch_and_the_same_within_one(store, model):
    samples = samples_of(store(30, silence_keep_ratio=0.5), model)
    first = samples[0].labels
    assert samples[0].labels == first
    samples.set_epoch(1)
    assert samples[0].labels != first
    samples.set_epoch(0)
    assert samples[0].labels == first


@pytest.mark.parametrize(("weight", "num_epochs"), [(1.0, 1), (2.0, 1), (0.25, 4), (0.4, 5)])
def test_a_weight_says_how_often_a_dialogue_is_seen_per_epoch(store, model, weight, num_epochs):
    samples = samples_of(store(*range(1, 21), weight=weight), model)
    seen = Counter()
    for epoch in range(num_epochs):
        samples.set_epoch(epoch)
        assert len(samples) == round(20 * weight)
        seen.update(len(samples[index].features) for index in range(len(samples)))
    assert seen == Counter(dict.fromkeys(range(1, 21), round(weight * num_epochs)))


def test_a_part_of_a_source_is_not_the_start_of_its_file(store, model):
    samples = samples_of(store(*range(1, 21), weight=0.25), model)
    assert sorted(len(samples[index].features) for index in range(5)) != [1, 2, 3, 4, 5]


def test_with_a_short_context_about_every_second_sample_has_its_last_frames_only(store, model):
    samples = samples_of(store(*[40] * 60, context_seconds=(2.0, 4.0)), model)
    lengths = [len(samples[index].features) for index in range(60)]
    short = [length for length in lengths if length < 40]
    assert 15 < len(short) < 45
    assert all(4 <= length <= 8 for length in short)
    for index in range(60):
        sample = samples[index]
        assert sample.input_ids.count(model.template.frame_token_id) == 10 * len(sample.features)
    samples.set_epoch(1)
    assert [len(samples[index].features) for index in range(60)] != lengths


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
    samples = samples_of(DataConfig(dialogues=str(tmp_path / "dialogues.jsonl"), videos=str(videos)), model)
    with pytest.raises(DialogueError, match=r"dialogues.jsonl:1: .*torn.mp4"):
        samples[0]


def test_a_missing_video_is_named_before_training(videos, model, tmp_path):
    write_dialogues([Dialogue("gone", (0, 2), [{"role": "stream", "num_frames": 2}])], tmp_path / "dialogues.jsonl")
    samples = samples_of(DataConfig(dialogues=str(tmp_path / "dialogues.jsonl"), videos=str(videos)), model)
    with pytest.raises(DialogueError, match=r"dialogues.jsonl:1: the video gone is not in"):
        samples.check()


def test_a_video_shorter_than_its_dialogue_is_named(videos, model):
    with pytest.raises(DialogueError, match=r"dialogues.jsonl:1: the dialogue ends at frame 20, .* grey has only 8"):
        frames_of(videos, 6, 20, model)
