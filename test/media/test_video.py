# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames out of video files, and features of them on disk."""

import json
import shutil
import weakref
from dataclasses import asdict, replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from videollm_ros.data import Dialogue, FeatureFolder, sample_frames, write_features
from videollm_ros.data.__main__ import main
from videollm_ros.live import LiveConfig
from videollm_ros.live.checkpoint import load_vision_tower
from videollm_ros.live.vision import VisionEncoder
from videollm_ros.media.video import VideoError, open_video, video_duration

GOLDENS = Path(__file__).parents[1] / "goldens" / "live1plus"


@pytest.fixture
def video(tmp_path):
    """Five seconds at 10 Hz; picture i is grey of level 5 * i."""
    path = tmp_path / "grey.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 64, 48, "yuv420p", 4_000_000
        for index in range(50):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * index, np.uint8), format="rgb24")
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.mark.parametrize(("fps", "step"), [(2.0, 5), (10.0, 1), (20.0, 0.5)])
def test_frame_i_is_what_the_video_shows_at_i_over_fps(video, fps, step):
    frames = np.stack(list(sample_frames(video, fps)))
    assert frames.shape[1:] == (48, 64, 3)
    assert frames.dtype == np.uint8
    levels = frames.mean((1, 2, 3))
    expected = [5 * int(index * step) for index in range(len(frames))]
    assert len(frames) >= 4.9 * fps
    assert levels == pytest.approx(expected, abs=3)


def test_no_more_frames_are_read_than_asked_for(video):
    assert len(list(sample_frames(video, 2.0, max_frames=3))) == 3
    assert len(list(sample_frames(video, 20.0, max_frames=3))) == 3


def test_only_a_batch_of_pictures_is_held_while_a_video_is_encoded(tmp_path):
    config = replace(LiveConfig(), frame_resolution=96)
    encoder = VisionEncoder(load_vision_tower(GOLDENS / "vision", torch.float32), config)
    given, held = [], []

    def pictures():
        for level in range(12):
            picture = np.full((48, 64, 3), level, np.uint8)
            given.append(weakref.ref(picture))
            held.append(sum(one() is not None for one in given))
            yield picture
            del picture

    write_features(encoder, pictures(), "v", FeatureFolder(tmp_path), batch_size=3)
    assert max(held) <= 2 * 3
    stored = FeatureFolder(tmp_path).read(Dialogue("v", (0, 12), [{"role": "stream", "num_frames": 12}]))
    assert len(stored) == 12


def test_a_file_that_is_no_video_is_an_error(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(ValueError, match="cannot be read as a video"):
        next(sample_frames(path, 2.0))


def test_the_command_stores_features_that_training_reads(video, tmp_path):
    config = replace(LiveConfig(), frame_resolution=96)
    (tmp_path / "live_config.json").write_text(json.dumps(asdict(config)))
    command = ["features", str(video), "--output", str(tmp_path / "out")]
    command += ["--config", str(tmp_path / "live_config.json"), "--vision", str(GOLDENS / "vision"), "--device", "cpu"]
    assert not main(command)
    features = FeatureFolder(tmp_path / "out").read(Dialogue("grey", (0, 4), [{"role": "stream", "num_frames": 4}]))
    assert features.shape == (4, 10, 64)
    assert not torch.equal(features[0], features[3])


def test_the_command_refuses_two_videos_of_one_name(video, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    shutil.copy(video, tmp_path / "other" / video.name)
    command = ["features", str(video), str(tmp_path / "other" / video.name), "--output", str(tmp_path / "out")]
    assert main(command) == 2
    assert f"Several recordings are named {video.stem}" in capsys.readouterr().err


def levels(frames):
    return [float(frame.rgb.mean()) for frame in frames]


def test_a_video_is_opened_at_any_second(video):
    whole = list(open_video(video))
    for start in (0.0, 0.05, 1.0, 3.14, 4.9, 7.0):
        shown = [frame for frame in whole if frame.time <= start + 1e-6][-1]
        expected = [shown, *(frame for frame in whole if frame.time > start + 1e-6)]
        frames = list(open_video(video, start=start))
        assert [frame.time for frame in frames] == pytest.approx([frame.time for frame in expected])
        assert levels(frames) == pytest.approx(levels(expected))


def test_frames_are_sampled_from_any_second_on(video):
    sampled = [float(frame.mean()) for frame in sample_frames(video, 2.0, start=2.2)]
    assert sampled == pytest.approx([110, 135, 160, 185, 210, 235], abs=3)


def test_the_duration_is_the_time_of_the_last_picture(video, tmp_path):
    assert video_duration(video) == pytest.approx(4.9)
    for index in range(4):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.zeros((4, 4, 3), np.uint8))
    assert video_duration(tmp_path) == pytest.approx(3 / 30)


def test_a_damaged_video_says_up_to_which_time_it_was_read(tmp_path):
    path = tmp_path / "noise.mkv"
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for _ in range(50):
            picture = noise.integers(0, 256, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20000] = bytes(20000)
    path.write_bytes(data)
    read = []
    with pytest.raises(VideoError, match=r"cannot be read as a video past 2\.\d\d s: "):
        for frame in open_video(path):
            read.append(frame)
    assert 10 < len(read) < 30


@pytest.mark.parametrize(
    ("name", "playlist"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:5,\n{video}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile {video}\n"),
        ("movie.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:5,\n{video}\n#EXT-X-ENDLIST\n"),
    ],
)
def test_a_file_that_names_other_files_opens_none(video, tmp_path, name, playlist):
    (tmp_path / name).write_text(playlist.format(video=video))
    with pytest.raises(VideoError, match="cannot be read as a video"):
        list(open_video(tmp_path / name))


def test_an_image_of_a_folder_has_a_limit_of_pixels(tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((100, 100, 3), np.uint8))
    monkeypatch.setattr("videollm_ros.media.video.MAX_PIXELS", 9_999)
    with pytest.raises(VideoError, match="100x100 pixels"):
        list(open_video(tmp_path))
