#!/usr/bin/env python3
# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Send a video to the assistant over rosbridge, as a headset would, and print what it says.

python examples/headset_client.py clip.mp4 --bridge localhost:9090 --ask "What happened so far?"

Needs: pip install roslibpy
"""

import argparse
import base64
import time

import cv2
import roslibpy

from videollm_ros.media.video import open_video

RATE = 4.0  # Hz


def main() -> None:
    """Send the video at four images a second, then ask."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", help="a video file, a folder of images, or a webcam")
    parser.add_argument("--bridge", default="localhost:9090", metavar="HOST:PORT")
    parser.add_argument("--ask", metavar="QUESTION", help="asked after the last image")
    options = parser.parse_args()

    host, port = options.bridge.rsplit(":", 1)
    bridge = roslibpy.Ros(host, int(port))
    bridge.run(timeout=10)
    said = roslibpy.Topic(bridge, "/assistant/utterance", "videollm_ros/msg/AssistantUtterance")
    said.subscribe(lambda message: print(message["text"], flush=True))
    camera = roslibpy.Topic(bridge, "/camera/image/compressed", "sensor_msgs/msg/CompressedImage")
    camera.advertise()

    began, due = time.monotonic(), 0.0
    for frame in open_video(options.video):
        if frame.time < due:
            continue
        due += 1 / RATE
        time.sleep(max(0.0, began + frame.time - time.monotonic()))
        _, jpeg = cv2.imencode(".jpg", frame.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])
        data = base64.b64encode(jpeg).decode()
        camera.publish({"header": {"frame_id": "headset"}, "format": "jpeg", "data": data})  # no stamp: see the docs
    if options.ask:
        service = roslibpy.Service(bridge, "/assistant/ask", "videollm_ros/srv/Ask")
        answer = service.call({"query": options.ask}, timeout=30)
        print(answer["utterance"]["text"] if answer["success"] else answer["message"])
    bridge.terminate()


if __name__ == "__main__":
    main()
