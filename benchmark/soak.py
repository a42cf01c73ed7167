# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let everything go wrong for an hour, at random, and watch what must hold all the same.

    source ./activate.sh
    python benchmark/soak.py --minutes 60 --seed 1 --json benchmark/results/soak_1.json

Real processes: a simulated camera, the assistant with the demo checkpoint and faults on demand, and this one. Chaos and
quiet phases take turns. In chaos the camera dies and comes back, a second one publishes, stamps jump, images are
malformed, queries flood in and are cancelled, parts of the model fail, parameters and lifecycle states change, and the
assistant is killed. In quiet phases it must narrate. What is checked all the time is in soaking/witness.py.

The exit code is 1 if there was a violation.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import rclpy
from domain_coordinator import domain_id
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from soaking.chaos import Chaos
from soaking.processes import Assistant
from soaking.witness import Witness

from videollm_ros.evaluation.scores.assignment import assign, time_differences
from videollm_ros.msg import SimEvent
from videollm_ros.sim.sentences import parse_event

CHAOS, QUIET = 40.0, 50.0  # seconds of a phase
SETTLE = 12.0  # seconds of a quiet phase that do not count: discovery, a new stream, items that were there before
TOLERANCE = 1.5  # seconds between an event and its utterance
WARM_UP = 600.0  # seconds after which memory is compared


class Soak:
    """One run: phases, figures, violations."""

    def __init__(self, node: rclpy.node.Node, minutes: float, seed: int, log: Path) -> None:
        """Start the processes."""
        self._rng, self._log = random.Random(seed), log
        self._seconds = 60 * minutes
        self.witness = Witness(node)
        self.assistant = Assistant(log)
        self.chaos = Chaos(node, self._rng, self.witness, self.assistant, log)
        self._told = self._said = self._happened = 0
        self._memory: list[tuple[float, int, int, int]] = []  # seconds, life, bytes, threads

    def run(self) -> dict[str, object]:
        """Alternate chaos and quiet until the time is over. Returns the figures."""
        began = time.monotonic()
        while time.monotonic() - began < self._seconds:
            self.chaos.kills_allowed = time.monotonic() - began < self._seconds / 3  # memory needs a long life
            self._chaotic_phase(began)
            self._quiet_phase(began)
        self._check_log()
        if not self.assistant.close():
            self.witness.violate("the assistant did not end on SIGINT.")
        self.chaos.camera.end(9)
        return self._figures((time.monotonic() - began) / 60)

    def _chaotic_phase(self, began: float) -> None:
        until = time.monotonic() + CHAOS
        while time.monotonic() < until:
            self.chaos.do_something()
            self._look(began)
            time.sleep(self._rng.expovariate(2.0))

    def _quiet_phase(self, began: float) -> None:
        """Let it narrate, and score it against what the camera says happened."""
        witness = self.witness
        self.chaos.calm_down()
        self._wait(SETTLE, began)
        frames, events, utterances = witness.frames, len(witness.events), len(witness.utterances)
        self._wait(QUIET - SETTLE, began)
        if witness.frames == frames:
            witness.violate("no frame was read in a quiet phase.")
        happened = list(witness.events[events:])
        self._wait(2.0, began)  # for what is still to be said
        said = [each for each in witness.utterances[utterances:] if each.kind == 0]
        told = self._match(said, happened)
        self._told += told
        self._said += len(said)
        self._happened += len(happened)

    def _match(self, said: list, happened: list[SimEvent]) -> int:
        """Return how many events were told in time and in the right words, each by an utterance of its own."""
        if not said or not happened:
            return 0
        differences = time_differences([_seconds(each) for each in said], [_seconds(each) for each in happened])
        allowed = abs(differences) <= TOLERANCE
        for row, utterance in enumerate(said):
            for column, event in enumerate(happened):
                allowed[row, column] &= _tells(utterance.text, event)
        return len(assign(abs(differences), allowed))

    def _wait(self, seconds: float, began: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._look(began)
            time.sleep(0.5)

    def _look(self, began: float) -> None:
        self.witness.check()
        memory, threads = self.assistant.process.memory_and_threads()
        if memory:
            self._memory.append((time.monotonic() - began, self.assistant.lives, memory, threads))
        while self.assistant.unexpected:
            self.witness.violate(f"the assistant ended with exit code {self.assistant.unexpected.pop()}.")
            self.witness.excuse_all()

    def _check_log(self) -> None:
        text = (self._log / "assistant.txt").read_text(encoding="utf-8", errors="replace")
        for index, line in enumerate(text.splitlines()):
            if line.startswith("Traceback"):
                self.witness.violate(f"a traceback at line {index + 1} of the assistant's log.")

    def _growth(self) -> float | None:
        """Share by which memory grew from ten minutes into the last life to its end. None for a shorter life."""
        last = [row for row in self._memory if row[1] == self.assistant.lives]
        start = last[0][0] + WARM_UP if last else 0.0
        late = [row[2] for row in last if row[0] > start]
        if len(late) < 20:
            return None
        return median(late[-len(late) // 5 :]) / median(late[: len(late) // 5]) - 1

    def _figures(self, minutes: float) -> dict[str, object]:
        both = self._said + self._happened
        return {
            "violations": len(self.witness.violations),
            "minutes": round(minutes, 1),
            "faults_injected": self.chaos.faults,
            "asks": self.witness.counts["ask"],
            "goals": self.witness.counts["goal"],
            "topic_queries": self.witness.counts["topic"],
            "memory_growth": self._growth(),
            "threads_max": max((row[3] for row in self._memory), default=0),
            "event_f1_quiet_phases": 2 * self._told / both if both else None,
            "events_quiet_phases": self._happened,
            "frames": self.witness.frames,
            "utterances": len(self.witness.utterances),
            "lives": self.assistant.lives,
            "sentences": self.witness.violations,
        }


def _seconds(message: object) -> float:
    stamp = message.header.stamp
    return stamp.sec + 1e-9 * stamp.nanosec


def _tells(text: str, event: SimEvent) -> bool:
    """Return whether an utterance means the event, whatever its wording."""
    return parse_event(text) == parse_event(event.text)


def main() -> int:
    """Run the soak. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--log", type=Path, help="folder for the logs of the processes")
    options = parser.parse_args()
    log = options.log or Path(tempfile.mkdtemp(prefix="soak-"))
    log.mkdir(parents=True, exist_ok=True)
    with domain_id() as domain:
        os.environ |= {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        rclpy.init()
        node = rclpy.create_node("soak")
        executor = MultiThreadedExecutor(4)
        executor.add_node(node)
        threading.Thread(target=_spin, args=(executor,), daemon=True).start()
        print(f"Logs are in {log}.", flush=True)
        figures = Soak(node, options.minutes, options.seed, log).run()
        rclpy.try_shutdown()
    text = json.dumps(figures | {"seed": options.seed}, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return 1 if figures["violations"] else 0


def _spin(executor: MultiThreadedExecutor) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        return


if __name__ == "__main__":
    sys.exit(main())
