# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Narrate a video without ROS: `python examples/narrate_video.py clip.mp4 [checkpoint]`."""

import argparse

from videollm_ros.assistant import AssistantStream, StreamListener
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.live import LiveModel
from videollm_ros.media.video import open_video


class Printer(StreamListener):
    """Prints what is said."""

    def on_utterance(self, update):
        """Print one utterance."""
        print(f"{update.stamp:6.1f} s  {update.text}" + (f"  (asked: {update.query})" if update.query else ""))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("video", help="video file, folder of images or webcam")
parser.add_argument("checkpoint", nargs="?", default=demo_checkpoint(), help="folder or hub id (default: the demo)")
given = parser.parse_args()
model = LiveModel.from_pretrained(given.checkpoint)
with AssistantStream(model, listeners=[Printer()]) as stream:
    for frame in open_video(given.video):
        stream.offer(frame.rgb, frame.time, wait=True)
    stream.ask("What is on the table?")  # its answer is an utterance, too
    stream.wait_until_idle()
