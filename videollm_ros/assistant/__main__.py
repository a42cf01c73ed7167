# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Narrate a video or a webcam in a terminal, without ROS: `python -m videollm_ros.assistant clip.mp4`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import get_args

from rich.console import Console

from videollm_ros.assistant.settings import AssistantSettings, ContextSettings, SpeechSettings, StreamSettings
from videollm_ros.assistant.stream import AssistantStream
from videollm_ros.assistant.terminal import TerminalOutput, play, take_questions
from videollm_ros.demo_checkpoint import KNOWS_THE_TABLE, demo_checkpoint, is_demo_checkpoint
from videollm_ros.live import CheckpointError, LiveModel
from videollm_ros.live.speak_rule import Form
from videollm_ros.media.video import VideoError, VideoFrame, open_video


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code: 1 if something cannot be read, 3 if the stream could not go on."""
    options = _parser().parse_args(args)
    console = Console(highlight=False)
    output = TerminalOutput(console, show_held_back=options.show_held_back)
    try:
        frames = open_video(options.source)
        checkpoint = options.checkpoint or str(demo_checkpoint())
        if is_demo_checkpoint(checkpoint):
            output.say(KNOWS_THE_TABLE)
        model = LiveModel.from_pretrained(
            checkpoint,
            llm=options.llm,
            vision=options.vision,
            device=options.device,
            quantization=options.quantization,
        )
        with AssistantStream(model, _settings(options), [output], load_image=_rgb) as stream:
            output.say("Type a question and press Enter. Ctrl-C ends.")
            take_questions(stream, output, sys.stdin)
            play(stream, frames, fast=options.fast)
            return 3 if stream.fatal else 0
    except (VideoError, CheckpointError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _rgb(frame: VideoFrame) -> object:
    return frame.rgb


def _settings(options: argparse.Namespace) -> AssistantSettings:
    stream = StreamSettings(
        fps=options.fps,
        threshold=options.threshold,
        rule=options.rule,
        instruction=options.instruction,
        max_new_tokens=options.max_new_tokens,
    )
    context = ContextSettings(max_tokens=options.context_tokens)
    return AssistantSettings(stream, context, SpeechSettings(cooldown=options.cooldown))


def _parser() -> argparse.ArgumentParser:
    defaults = StreamSettings()
    parser = argparse.ArgumentParser(prog="python -m videollm_ros.assistant", description=__doc__)
    parser.add_argument("source", help="a video file, a folder of images, or a webcam: 0 or /dev/video0")
    parser.add_argument("--checkpoint", help="hub id or folder (default: the demo checkpoint of the package)")
    parser.add_argument("--llm", help="base language model, if the checkpoint does not say where it is")
    parser.add_argument("--vision", help="vision tower, if the checkpoint does not say where it is")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    parser.add_argument("--quantization", choices=("int8", "int4", "fp8"))
    parser.add_argument("--fps", type=float, default=defaults.fps, help="frames per second; 0: as it was trained")
    parser.add_argument("--threshold", type=float, default=defaults.threshold, help="higher: it speaks more often")
    parser.add_argument("--rule", choices=get_args(Form), default=defaults.rule)
    parser.add_argument("--instruction", default="", help="what it is there for: Tell me what I do.")
    parser.add_argument("--max-new-tokens", type=int, default=defaults.max_new_tokens)
    parser.add_argument(
        "--context-tokens", type=int, default=0, help="size of the context; 0: what the model was trained for"
    )
    parser.add_argument("--cooldown", type=float, default=0.0, help="seconds of silence after an utterance")
    parser.add_argument("--fast", action="store_true", help="as fast as the model goes, instead of in real time")
    parser.add_argument("--show-held-back", action="store_true", help="show what is not said aloud, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
