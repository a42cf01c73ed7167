# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Narrate a video without ROS: `python examples/narrate_video.py clip.mp4 [checkpoint]`."""

import sys

from videollm_ros.assistant import AssistantStream, StreamListener
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.live import LiveModel
from videollm_ros.media.video import open_video


class Printer(StreamListener):
    """Prints what is said."""

    def on_utterance(self, update):
        """Print one utterance."""
        print(f"{update.stamp:6.1f} s  {update.text}")


model = LiveModel.from_pretrained(sys.argv[2] if len(sys.argv) > 2 else demo_checkpoint())
with AssistantStream(model, listeners=[Printer()]) as stream:
    for frame in open_video(sys.argv[1]):
        stream.offer(frame.rgb, frame.time, wait=True)
    stream.ask("What is on the table?")  # its answer is an utterance, too
    stream.wait_until_idle()
