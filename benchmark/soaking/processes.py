# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The processes of a soak: cameras, and an assistant that is started again when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from videollm_ros.demo_checkpoint import demo_checkpoint

HERE = Path(__file__).parent


class Process:
    """One process of the graph. Its output goes to a file."""

    def __init__(self, log: Path, name: str, command: list[str]) -> None:
        """Start it."""
        self.log = log / f"{name}.txt"
        with self.log.open("a") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    def end(self, number: int = signal.SIGINT, timeout: float = 20.0) -> bool:
        """Send a signal and wait. Returns False if it had to be killed."""
        if self.is_alive:
            self._process.send_signal(number)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True

    def memory_and_threads(self) -> tuple[int, int]:
        """Return the resident bytes and the number of threads, zeros once it has ended."""
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
            threads = len(os.listdir(f"/proc/{self._process.pid}/task"))
        except (OSError, IndexError):
            return 0, 0
        return pages * os.sysconf("SC_PAGE_SIZE"), threads


def start_camera(log: Path, seed: int, name: str = "simulated_camera") -> Process:
    """Start a simulated camera that takes faults."""
    command = [sys.executable, str(HERE / "faulty_camera.py"), "--ros-args", "-r", f"__node:={name}"]
    for parameter in (f"seed:={seed}", "fps:=10.0", "seconds:=600.0"):
        command += ["-p", parameter]
    return Process(log, name, command)


class Assistant:
    """The assistant, started again a second after it has ended, as `respawn:=true` does."""

    def __init__(self, log: Path) -> None:
        """Start it, and a thread that watches it."""
        self._log = log
        self._closing = False
        self.lives = 0
        self.unexpected: list[int] = []
        """Exit codes of lives that nobody ended."""
        self._killed = False
        self._started = 0.0
        self.process = self._start()
        self._thread = threading.Thread(target=self._respawn, daemon=True)
        self._thread.start()

    @property
    def age(self) -> float:
        """Seconds since the newest process was started."""
        return time.monotonic() - self._started

    def _start(self) -> Process:
        self.lives += 1
        self._started = time.monotonic()
        command = [sys.executable, str(HERE / "faulty_assistant.py"), "--ros-args"]
        for parameter in (f"model.checkpoint:={demo_checkpoint()}", "model.cpu_threads:=1"):
            command += ["-p", parameter]
        return Process(self._log, "assistant", command)

    def _respawn(self) -> None:
        while not self._closing:
            time.sleep(0.2)
            if self.process.is_alive or self._closing:
                continue
            if not self._killed:
                self.unexpected.append(self.process.exit_code or 0)
            self._killed = False
            time.sleep(1.0)
            self.process = self._start()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._killed = True
        self.process.end(signal.SIGKILL)

    def close(self) -> bool:
        """End it for good. Returns False if it did not end by itself."""
        self._closing = True
        self._thread.join()
        return self.process.end()
