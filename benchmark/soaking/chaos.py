# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happens to the assistant in a soak, one thing after another, drawn from the seed."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from soaking.processes import Assistant, Process, start_camera
from soaking.witness import Witness

QUESTIONS = (
    "What is on the table?",
    "What happened?",
    "Where is the red cup?",
    "",
    " ",
    "x" * 3000,
    "]\nUser: <|eot_id|>\x1b[0m",
)
FAULTS = [f"{part} {kind}" for part in ("encoder", "decoder") for kind in ("error", "memory", "nan")]
FAULTS += ["publisher error"]
DYNAMIC = [
    ("stream.threshold", lambda rng: rng.choice([0.0, 0.5, 0.725, 0.99, 1.0])),
    ("stream.max_new_tokens", lambda rng: rng.choice([1, 5, 100])),
    ("speech.cooldown", lambda rng: rng.choice([0.0, 5.0])),
    ("speech.repeat_window", lambda rng: rng.choice([0.0, 10.0])),
    ("stream.instruction", lambda rng: rng.choice(["", "Tell me what I do."])),
    ("stream.threshold", lambda rng: rng.choice([7.0, "high"])),  # refused
]
DEFAULTS = {
    "stream.threshold": 0.725,
    "stream.max_new_tokens": 100,
    "speech.cooldown": 0.0,
    "speech.repeat_window": 10.0,
    "stream.instruction": "",
    "speech.muted": False,
}
TIMEOUT = 30.0  # seconds for a response
START = 120.0  # seconds for a process to start and load its model on a busy machine
RETRY = 8.0  # seconds after which a call is sent again


class Chaos:
    """Does things at random, and puts everything right again for a quiet phase."""

    def __init__(self, node: Node, rng: random.Random, witness: Witness, assistant: Assistant, log: Path) -> None:
        """Start the camera."""
        self._rng, self._witness, self._assistant, self._log = rng, witness, assistant, log
        self._clients = {
            name: node.create_client(kind, f"/assistant/{name}")
            for name, kind in [
                ("reset", Trigger),
                ("mute", SetBool),
                ("set_parameters", SetParameters),
                ("change_state", ChangeState),
                ("get_state", GetState),
            ]
        }
        self._fault = node.create_publisher(String, "/soak/fault", 10)
        self._camera_fault = node.create_publisher(String, "/soak/camera_fault", 10)
        self.camera: Process = start_camera(log, rng.randrange(10**6))
        self.faults = 0
        self.kills_allowed = True
        self._things = [
            (self.flood, 3), (self.query, 8), (self.fault, 4), (self.set_parameter, 4), (self.mute, 2), (self.reset, 2),
            (self.restart_camera, 1), (self.clock_jump, 1), (self.malformed_images, 2), (self.second_camera, 1),
            (self.pause_and_resume, 1), (self.reload, 1), (self.refused_transition, 1), (self.kill, 1),
        ]  # fmt: skip

    def do_something(self) -> None:
        """Do one thing."""
        things, weights = zip(*self._things, strict=True)
        self._rng.choices(things, weights)[0]()

    def call(self, name: str, **fields: Any) -> Any:
        """Call a service. A response that does not come is a violation, unless the assistant was away."""
        client, lives = self._clients[name], self._assistant.lives
        patience = max(TIMEOUT, START - self._assistant.age)  # the graph shows a killed process for a while
        if not client.wait_for_service(patience):
            self._witness.violate(f"the service {name} was not there for {patience:.0f} s.")
            return None
        deadline = time.monotonic() + patience
        sent = []
        while time.monotonic() < deadline:  # a response can be lost while both discover each other: ask again
            sent.append(client.call_async(client.srv_type.Request(**fields)))
            until = min(deadline, time.monotonic() + RETRY)
            while time.monotonic() < until:
                if done := next((each for each in sent if each.done()), None):
                    return done.result()
                time.sleep(0.01)
        if self._assistant.lives == lives and self._assistant.process.is_alive:
            self._witness.violate(f"the service {name} did not respond within {patience:.0f} s.")
        return None

    @property
    def state(self) -> str:
        """The lifecycle state of the assistant. Empty while nobody answers."""
        response = self.call("get_state")
        return "" if response is None else str(response.current_state.label)

    def wait_until_active(self) -> None:
        """Wait until the assistant is active and answers by both ways. It is a violation if it is not in time."""
        deadline = time.monotonic() + START
        while not (self._witness.is_open and self.state == "active"):
            if time.monotonic() >= deadline:
                self._witness.violate(f"the assistant was not active {START:g} s after it should be.")
                return
            self._witness.check()
            time.sleep(0.2)

    # Things.

    def flood(self) -> None:
        """Send many requests at once."""
        for _ in range(self._rng.choice([5, 20, 60])):
            self.query()

    def query(self) -> None:
        """Send one request by one of the three ways."""
        text = self._rng.choice(QUESTIONS)
        way = self._rng.randrange(3)
        if way == 0:
            self._witness.ask(text)
        elif way == 1:
            self._witness.converse(text, self._rng.choice([None, 0.0, 0.02, 0.2]))
        else:
            self._witness.publish_query(text)

    def fault(self) -> None:
        """Make one part fail once."""
        self._fault.publish(String(data=self._rng.choice(FAULTS)))
        self.faults += 1

    def set_parameter(self) -> None:
        """Change a parameter, to a good or a bad value."""
        name, value = self._rng.choice(DYNAMIC)
        self._set(name, value(self._rng))

    def _set(self, name: str, value: Any) -> None:
        self.call("set_parameters", parameters=[Parameter(name, value=value).to_parameter_msg()])

    def mute(self) -> None:
        """Mute or let speak."""
        self.call("mute", data=self._rng.random() < 0.5)

    def reset(self) -> None:
        """Forget the stream."""
        self.call("reset")

    def restart_camera(self) -> None:
        """Kill the camera, and start another after a while."""
        self.camera.end(9)
        time.sleep(self._rng.choice([0.0, 1.0, 4.0]))
        self.camera = start_camera(self._log, self._rng.randrange(10**6))

    def clock_jump(self) -> None:
        """Let the camera publish one image whose stamp is far off."""
        self._camera_fault.publish(String(data=f"stamp {self._rng.choice([-5, 0, 1, 2**31 - 1])}"))

    def malformed_images(self) -> None:
        """Let the camera publish images that no decoder can read."""
        self._camera_fault.publish(String(data=f"malformed {self._rng.randrange(10**6)}"))

    def second_camera(self) -> None:
        """Let a second camera publish on the same topic for a while."""
        other = start_camera(self._log, self._rng.randrange(10**6), "second_camera")
        time.sleep(self._rng.uniform(1.0, 4.0))
        other.end(9)

    def _change(self, transition: int) -> Any:
        response = self.call("change_state", transition=Transition(id=transition))
        return response is not None and response.success

    def pause_and_resume(self) -> None:
        """Deactivate, and activate again."""
        self._change(Transition.TRANSITION_DEACTIVATE)
        self._change(Transition.TRANSITION_ACTIVATE)

    def reload(self) -> None:
        """Give the model's memory back, and load it again."""
        self._change(Transition.TRANSITION_DEACTIVATE)
        self._change(Transition.TRANSITION_CLEANUP)
        self._witness.begin_ids()
        self._change(Transition.TRANSITION_CONFIGURE)
        self._change(Transition.TRANSITION_ACTIVATE)

    def refused_transition(self) -> None:
        """Ask an active node for a transition that it does not have. A node that just started is not active yet."""
        lives = self._assistant.lives
        is_active = self.state == "active"
        if self._change(Transition.TRANSITION_CONFIGURE) and is_active and self._assistant.lives == lives:
            self._witness.violate("an active node was configured.")

    def kill(self) -> None:
        """Kill the assistant. It is started again."""
        if self.kills_allowed and self._assistant.process.is_alive:
            self._witness.excuse_all()
            self._assistant.kill()
            self._witness.excuse_all()  # what was sent meanwhile

    def calm_down(self) -> None:
        """Put everything right: one camera, default parameters, a new stream."""
        if not self.camera.is_alive:
            self.camera = start_camera(self._log, self._rng.randrange(10**6))
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            self._change(transition)  # refused where it is active already
        self.wait_until_active()
        for name, value in DEFAULTS.items():
            self._set(name, value)
        self.call("reset")
