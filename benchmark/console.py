# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the console costs: CPU and memory of console, assistant and camera with 0, 1 and 5 viewers.

    python benchmark/console.py --json benchmark/results/console.json

The camera is the simulator at 480 x 480 and 30 Hz, the model is the demo checkpoint, each in a process of its own. A
viewer is a WebSocket client that reads whatever a page would get. The first row has no console at all.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import torch
from machine import describe_machine
from websockets.sync.client import connect

from videollm_ros.demo_checkpoint import demo_checkpoint

TOKEN = "a-token-of-the-benchmark"
CAMERA = ["seed:=9001", "fps:=30.0", "resolution:=480", "seconds:=3600.0"]
ASSISTANT = [f"model.checkpoint:={demo_checkpoint()}", "model.cpu_threads:=1"]
START = 30.0  # seconds until everything is loaded and discovered
SETTLE = 8.0  # seconds between a change of the viewers and the measurement
VIEWER = """
import sys
from websockets.sync.client import connect
with connect(sys.argv[1], additional_headers={"Authorization": "Bearer " + sys.argv[2]}, max_size=None) as viewer:
    for _ in viewer:
        pass
"""


@dataclass
class Row:
    """CPU in percent of one core, memory in MiB, traffic in kB/s to each viewer."""

    viewers: str
    console_cpu: float | None
    console_memory: float | None
    assistant_cpu: float
    camera_cpu: float
    traffic: float | None


@contextlib.contextmanager
def started(command: list[str], log: Path) -> Iterator[psutil.Popen]:
    """A process that ends with the context."""
    with log.open("w") as output:
        process = psutil.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(10)
        if process.is_running():
            process.kill()


def node(module: str, parameters: list[str]) -> list[str]:
    """The command of a node of this package."""
    command = [sys.executable, "-m", f"videollm_ros.node.{module}", "--ros-args"]
    for parameter in parameters:
        command += ["-p", parameter]
    return command


def cpu_seconds(process: psutil.Process) -> float:
    """What a process has used so far."""
    times = process.cpu_times()
    return times.user + times.system


def measure(
    viewers: str, seconds: float, processes: dict[str, psutil.Process], address: str | None, *, traffic: bool
) -> Row:
    """Use of the processes over a while."""
    before = {name: cpu_seconds(process) for name, process in processes.items()}
    began, received = time.monotonic(), 0
    if traffic and address is not None:
        with connect(address, additional_headers={"Authorization": f"Bearer {TOKEN}"}, max_size=None) as viewer:
            while time.monotonic() - began < seconds:
                received += len(viewer.recv(30))
    else:
        time.sleep(seconds)
    took = time.monotonic() - began
    used = {name: 100 * (cpu_seconds(process) - before[name]) / took for name, process in processes.items()}
    console = processes.get("console")
    return Row(
        viewers,
        used.get("console"),
        console.memory_info().rss / 2**20 if console is not None else None,
        used["assistant"],
        used["camera"],
        received / took / 1e3 if received else None,
    )


def run(seconds: float, folder: Path) -> list[Row]:
    """All rows."""
    os.environ["VIDEOLLM_CONSOLE_TOKEN"] = TOKEN
    with contextlib.ExitStack() as stack:
        camera = stack.enter_context(started(node("simulated_camera", CAMERA), folder / "camera"))
        assistant = stack.enter_context(started(node("assistant_node", ASSISTANT), folder / "assistant"))
        processes = {"camera": camera, "assistant": assistant}
        time.sleep(START)
        rows = [measure("no console", seconds, processes, None, traffic=False)]
        log = folder / "console"
        processes["console"] = stack.enter_context(started(node("console", ["port:=0"]), log))
        time.sleep(SETTLE)
        port = re.search(r"127\.0\.0\.1:(\d+)", log.read_text())
        if port is None:
            raise RuntimeError(f"The console did not start: {log.read_text()}")
        address = f"ws://127.0.0.1:{port[1]}/ws"
        rows.append(measure("0", seconds, processes, address, traffic=False))
        time.sleep(SETTLE)
        rows.append(measure("1", seconds, processes, address, traffic=True))
        for _ in range(4):
            stack.enter_context(started([sys.executable, "-c", VIEWER, address, TOKEN], folder / "viewer"))
        time.sleep(SETTLE)
        rows.append(measure("5", seconds, processes, address, traffic=True))
    return rows


def show(rows: list[Row]) -> None:
    """Print a table."""
    print("| viewers | console CPU | console memory | assistant CPU | camera CPU | to each viewer |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        cells = [
            row.viewers,
            "" if row.console_cpu is None else f"{row.console_cpu:.1f} %",
            "" if row.console_memory is None else f"{row.console_memory:.0f} MiB",
            f"{row.assistant_cpu:.1f} %",
            f"{row.camera_cpu:.1f} %",
            "" if row.traffic is None else f"{row.traffic:.0f} kB/s",
        ]
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each row")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(random.randint(1, 101))
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    with tempfile.TemporaryDirectory() as folder:
        rows = run(arguments.seconds, Path(folder))
    show(rows)
    if arguments.json:
        machine = describe_machine(torch.device("cpu"))
        result = {"machine": machine, "seconds": arguments.seconds, "rows": [asdict(row) for row in rows]}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
