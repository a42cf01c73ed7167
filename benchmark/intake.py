# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does every image of a 30 Hz camera reach the assistant while its model is busy, and at what cost?

    python benchmark/intake.py --json benchmark/results/intake.json

A camera process publishes at 30 Hz; the assistant runs in this process, so that its image callback can be timed. The
model is the golden test checkpoint, made to reply without end: a tiny model spends its time in Python, which is the
hardest case for callbacks that share the interpreter with it. On a large one the interpreter is mostly free.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import psutil
import rclpy
import torch
from machine import describe_machine
from rclpy.executors import MultiThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from videollm_ros.live import LiveModel
from videollm_ros.node.assistant_node import EXECUTOR_THREADS, SWITCH_INTERVAL, AssistantNode

RATE = 30.0  # Hz
GOLDENS = Path(__file__).parents[1] / "test" / "goldens" / "live1plus"
PROFILE = Path(__file__).parents[1] / "config" / "fastdds_large_images.xml"
RUNS = [  # width, height, transport, with PROFILE
    (640, 480, "raw", False),
    (640, 480, "compressed", False),
    (1920, 1080, "raw", False),
    (1920, 1080, "raw", True),
    (1920, 1080, "compressed", False),
]


@dataclass
class Row:
    """One line of the table."""

    size: str
    transport: str
    large_shared_memory: bool
    published: int
    received: int
    sampled: int
    used: int
    callback_p50_ms: float
    callback_p99_ms: float
    callback_max_ms: float
    delivery_p50_ms: float  # from the stamp, just before publishing, to the beginning of the callback
    delivery_p99_ms: float
    intake_cpu_percent: float  # of one core: the whole process but for the model's threads
    model_cpu_percent: float


def camera(width: int, height: int, transport: str, count: int) -> None:
    """Publish `count` images at RATE once somebody listens; the picture is made beforehand."""
    rclpy.init()
    node = rclpy.create_node("camera")
    pixels = np.random.default_rng(0).integers(0, 255, (height // 16, width // 16, 3), np.uint8)
    pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC)
    if transport == "raw":
        message = Image(height=height, width=width, encoding="bgr8", step=3 * width)
        message.data.frombytes(pixels.tobytes())
    else:
        message = CompressedImage(format="jpeg")
        message.data.frombytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    publisher = node.create_publisher(type(message), "image", QoSProfile(depth=5))
    while not publisher.get_subscription_count():
        time.sleep(0.05)
    time.sleep(1.0)  # the subscription follows the offered reliability
    start = time.monotonic()
    for index in range(count):
        time.sleep(max(0.0, start + index / RATE - time.monotonic()))
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
    time.sleep(1.0)
    rclpy.shutdown()


class TimedAssistant(AssistantNode):
    """Notes when each image came and how long its callback took."""

    def __init__(self) -> None:
        self.callbacks: list[float] = []  # seconds
        self.deliveries: list[float] = []
        super().__init__()

    def _image_received(self, message: Image | CompressedImage) -> None:
        stamp = message.header.stamp
        self.deliveries.append(time.time() - stamp.sec - stamp.nanosec * 1e-9)
        began = time.perf_counter()
        super()._image_received(message)
        self.callbacks.append(time.perf_counter() - began)

    def model_thread_ids(self) -> set[int]:
        return {thread.native_id for thread in threading.enumerate() if thread.name in ("inference", "encoder")}


def cpu_seconds(thread_ids: set[int]) -> tuple[float, float]:
    """Processor seconds of the given threads of this process, and of all others."""
    inside = outside = 0.0
    for thread in psutil.Process().threads():
        if thread.id in thread_ids:
            inside += thread.user_time + thread.system_time
        else:
            outside += thread.user_time + thread.system_time
    return inside, outside


def measure(checkpoint: str, width: int, height: int, transport: str, profile: bool, seconds: float) -> Row:
    """One run: a fresh assistant in this process, a fresh camera in another."""
    if profile:  # both processes read it when they join the graph
        os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(PROFILE)
    sys.setswitchinterval(SWITCH_INTERVAL)
    parameters = [
        f"model.checkpoint:={checkpoint}",
        "model.device:=cpu",
        "autostart:=false",
        f"image_transport:={transport}",
        "stream.threshold:=1.0",  # never silent: every frame is replied to
        "stream.max_new_tokens:=800",
        "stream.fps:=10.0",  # more than it can reply to: it is never idle
        "speech.repeat_window:=0.0",
    ]
    rclpy.init(args=["--ros-args", *(word for parameter in parameters for word in ("-p", parameter))])
    node = TimedAssistant()
    executor = MultiThreadedExecutor(EXECUTOR_THREADS)
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin)
    for transition in (node.trigger_configure, node.trigger_activate):
        if transition() != TransitionCallbackReturn.SUCCESS:
            raise RuntimeError("The assistant did not become active; its log says why.")
    spinning.start()
    count = int(seconds * RATE)
    process = multiprocessing.get_context("spawn").Process(target=camera, args=(width, height, transport, count))
    process.start()
    while not node.callbacks:
        time.sleep(0.01)
    model_threads = node.model_thread_ids()
    before, began = cpu_seconds(model_threads), time.monotonic()
    process.join()
    after, took = cpu_seconds(model_threads), time.monotonic() - began
    snapshot = node.stream.snapshot()
    callbacks, deliveries = 1e3 * np.array(node.callbacks), 1e3 * np.array(node.deliveries)
    row = Row(
        size=f"{width}x{height}",
        transport=transport,
        large_shared_memory=profile,
        published=count,
        received=len(callbacks),
        sampled=snapshot.frames_due,
        used=snapshot.frames_used,
        callback_p50_ms=float(np.percentile(callbacks, 50)),
        callback_p99_ms=float(np.percentile(callbacks, 99)),
        callback_max_ms=float(callbacks.max()),
        delivery_p50_ms=float(np.percentile(deliveries, 50)),
        delivery_p99_ms=float(np.percentile(deliveries, 99)),
        intake_cpu_percent=100 * (after[1] - before[1]) / took,
        model_cpu_percent=100 * (after[0] - before[0]) / took,
    )
    node.close()
    executor.shutdown()
    rclpy.shutdown()
    spinning.join()
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a run")
    parser.add_argument("--json", type=Path, help="where the figures are written")
    arguments = parser.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(random.randint(1, 101))
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    model = LiveModel.from_pretrained(
        GOLDENS / "adapter", llm=GOLDENS / "base", vision=GOLDENS / "vision", device="cpu"
    )
    model.llm.get_output_embeddings().weight.data[model.template.eos_token_id] = 0  # a reply never ends by itself
    with tempfile.TemporaryDirectory() as checkpoint:
        model.save_pretrained(checkpoint)
        rows = []
        for run in RUNS:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                rows.append(pool.submit(measure, checkpoint, *run, arguments.seconds).result())
    print(
        "| image | published | received | sampled | used | callback p50 / p99 / max ms | delivery p50 / p99 ms | CPU |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        segment = ", large segment" if row.large_shared_memory else ""
        print(
            f"| {row.size} {row.transport}{segment} | {row.published} | {row.received} | {row.sampled} | {row.used} | "
            f"{row.callback_p50_ms:.2f} / {row.callback_p99_ms:.2f} / {row.callback_max_ms:.2f} | "
            f"{row.delivery_p50_ms:.1f} / {row.delivery_p99_ms:.1f} | "
            f"{row.intake_cpu_percent:.0f} % + model {row.model_cpu_percent:.0f} % |"
        )
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        result = {
            "machine": describe_machine(torch.device("cpu")) | {"load": os.getloadavg()[0]},
            "rate_hz": RATE,
            "rows": [asdict(row) for row in rows],
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
