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
from typing import NamedTuple

import rclpy
from domain_coordinator import domain_id
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from soaking.chaos import Chaos
from soaking.processes import Assistant
from soaking.witness import Witness

from videollm_ros.evaluation.scores.assignment import assign, time_differences
from videollm_ros.msg import AssistantUtterance, SimEvent
from videollm_ros.sim.sentences import parse_event

DISCOVERY = 3.0  # seconds in which nodes that an earlier run may have left behind show themselves
CHAOS, QUIET = 40.0, 50.0  # seconds of a phase
SETTLE = 12.0  # seconds of a quiet phase that do not count: discovery, a new stream, items that were there before
LAG = 2.0  # seconds at the end of a quiet phase in which nothing new counts: what happened before is still told
TOLERANCE = 1.5  # seconds between an event and its utterance
WARM_UP = 600.0  # seconds of a process after which its memory is compared


class QuietMemory(NamedTuple):
    """Memory of the assistant in one quiet phase."""

    life: int
    """Number of the process."""
    age: float
    """Seconds since it started."""
    resident: float
    """Bytes, the median over the phase."""


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
        self._missed: list[str] = []
        self._false: list[str] = []
        self._threads = 0
        self._memory: list[QuietMemory] = []

    def run(self) -> dict[str, object]:
        """Alternate chaos and quiet until the time is over. Returns the figures."""
        began = time.monotonic()
        try:
            self.chaos.wait_until_active()
            began = time.monotonic()
            while time.monotonic() - began < self._seconds:
                self.chaos.kills_allowed = time.monotonic() - began < self._seconds / 3  # memory needs a long life
                self._chaotic_phase()
                self._quiet_phase()
            self._check_log()
        finally:  # also after an interrupt nothing stays in the graph
            ended = self.assistant.close()
            self.chaos.camera.end(9)
        if not ended:
            self.witness.violate("the assistant did not end on SIGINT.")
        return self._figures((time.monotonic() - began) / 60)

    def _chaotic_phase(self) -> None:
        until = time.monotonic() + CHAOS
        while time.monotonic() < until:
            self.chaos.do_something()
            self._look()
            time.sleep(self._rng.expovariate(2.0))

    def _quiet_phase(self) -> None:
        """Let it narrate, and score it against what the camera says happened."""
        witness = self.witness
        self.chaos.calm_down()
        self._wait(SETTLE)
        frames, start = witness.frames, time.time()
        memory = self._wait(QUIET - SETTLE - LAG)
        end = time.time()
        memory += self._wait(LAG)  # for what is still to be said
        if witness.frames == frames:
            witness.violate("no frame was read in a quiet phase.")
        if memory:
            self._memory.append(QuietMemory(self.assistant.lives, self.assistant.age, median(memory)))
        self._score(start, end)

    def _score(self, start: float, end: float) -> None:
        """Match utterances with events, and count those between two stamps.

        An utterance near the border may belong to an event beyond it. So all are matched, and only those are counted
        whose stamp, or whose partner's stamp, is inside.
        """
        near = start - 2 * TOLERANCE
        happened = [each for each in list(self.witness.events) if _seconds(each) >= near]
        said = [each for each in list(self.witness.utterances) if each.kind == 0 and _seconds(each) >= near]
        pairs = self._match(said, happened) if said and happened else []
        inside = {row for row, each in enumerate(happened) if start <= _seconds(each) <= end}
        told = {event for _, event in pairs} & inside
        unmatched = set(range(len(said))) - {utterance for utterance, _ in pairs}
        false = [said[each] for each in sorted(unmatched) if start <= _seconds(said[each]) <= end]
        self._happened += len(inside)
        self._told += len(told)
        self._said += len(told) + len(false)
        self._missed += [happened[event].text for event in sorted(inside - told)]
        self._false += [each.text for each in false]

    def _match(self, said: list[AssistantUtterance], happened: list[SimEvent]) -> list[tuple[int, int]]:
        """Return pairs of an utterance and the event that it tells in time and in the right words."""
        differences = time_differences([_seconds(each) for each in said], [_seconds(each) for each in happened])
        allowed = abs(differences) <= TOLERANCE
        for row, utterance in enumerate(said):
            for column, event in enumerate(happened):
                allowed[row, column] &= _tells(utterance.text, event)
        return [(int(row), int(column)) for row, column in assign(abs(differences), allowed)]

    def _wait(self, seconds: float) -> list[int]:
        """Watch for a while. Returns the resident bytes of the assistant, seen twice a second."""
        until, resident = time.monotonic() + seconds, []
        while time.monotonic() < until:
            resident.append(self._look())
            time.sleep(0.5)
        return [each for each in resident if each]

    def _look(self) -> int:
        """Check what must hold all the time. Returns the resident bytes of the assistant, 0 while there is none."""
        self.witness.check()
        memory, threads = self.assistant.process.memory_and_threads()
        self._threads = max(self._threads, threads)
        while self.assistant.unexpected:
            self.witness.violate(f"the assistant ended with exit code {self.assistant.unexpected.pop()}.")
            self.witness.excuse_all()
        return memory

    def _check_log(self) -> None:
        text = (self._log / "assistant.txt").read_text(encoding="utf-8", errors="replace")
        for index, line in enumerate(text.splitlines()):
            if line.startswith("Traceback"):
                self.witness.violate(f"a traceback at line {index + 1} of the assistant's log.")

    def _growth(self) -> float | None:
        """Return the share by which the memory of a process grew. None if no process lived long enough.

        The first quiet phase that begins ten minutes into its life is compared with its last one, if ten minutes or
        more lie between. A process that was killed early tells nothing. Of several long lives the worst counts.
        """
        growths = []
        for life in {each.life for each in self._memory}:
            late = [each for each in self._memory if each.life == life and each.age >= WARM_UP]
            if late and late[-1].age - late[0].age >= WARM_UP:
                growths.append(late[-1].resident / late[0].resident - 1)
        return max(growths, default=None)

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
            "memory_quiet_phases": [
                f"{each.life}: {each.age:.0f} s {each.resident / 2**20:.1f} MiB" for each in self._memory
            ],
            "threads_max": self._threads,
            "event_f1_quiet_phases": 2 * self._told / both if both else None,
            "events_quiet_phases": self._happened,
            "events_missed": self._missed,
            "utterances_without_event": self._false,
            "requests_excused": self.witness.excused,
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
        time.sleep(DISCOVERY)
        if others := [name for name in node.get_node_names() if name != node.get_name()]:
            sys.exit(f"The ROS domain {domain} is not empty: {', '.join(others)} would be taken for ours.")
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
