# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The script of a stream: what happens when, drawn from a seed, with the motions that show it."""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TypeVar, cast

import numpy as np

from videollm_ros.sim.items import HEIGHTS
from videollm_ros.sim.motion import Point, Track
from videollm_ros.sim.scenery import TIP
from videollm_ros.sim.sentences import event_text
from videollm_ros.sim.world import COLOURS, KINDS, MAX_ITEMS, PLACES, SHAPES, Event, Item, State

TABLE_Y = 0.91  # y of the foot of a standing item
HELD_Y = 0.42  # y of the foot of a held item
ABOVE_Y = -0.01  # y of the lower end of what is just out of view
FALL, LEAVE, SLIDE = 0.3, 0.3, 0.3  # seconds that motions take
REACH, CLOSE, LIFT = 0.5, 0.15, 0.25
CARRY, STEADY, LOWER, OPEN, RETREAT = 0.6, 0.1, 0.4, 0.1, 0.35
PAUSE = (2.2, 5.5)  # seconds from an event to the onset of the next
QUIET = (11.0, 16.0)  # the same, now and then
TAIL = 1.2  # seconds between the last event and the end, so that its frame exists at 1 FPS and above

Option = TypeVar("Option")


@dataclass
class Actor:
    """One item from its appearance to its removal, in the view from `enters` to `leaves` [s].

    `tint` is added to its colour; `size` is its height.
    """

    item: Item
    size: float
    tint: tuple[int, int, int]
    track: Track
    enters: float
    leaves: float = float("inf")


@dataclass
class Grip:
    """The gripper's way with one item [s]: when it comes into view, closes, opens and has left the view again."""

    actor: Actor
    comes: float
    closes: float
    opens: float = float("inf")
    leaves: float = float("inf")


@dataclass
class Script:
    """All that happens in one stream."""

    seconds: float
    actors: list[Actor] = field(default_factory=list)
    gripper: Track = field(default_factory=Track)
    grips: list[Grip] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    states: list[tuple[float, State]] = field(default_factory=list)  # (valid from, state)

    def state(self, time: float) -> State:
        """What is to be seen at `time` [s], by the events decided until then."""
        return self.states[max(bisect_right(self.states, time, key=lambda entry: entry[0]) - 1, 0)][1]

    def past(self, time: float) -> list[Event]:
        """The events decided until `time` [s]."""
        return self.events[: bisect_right(self.events, time, key=lambda event: event.time)]

    def grip(self, time: float) -> Grip | None:
        """What the gripper, if in view, has to do with which item at `time` [s]."""
        index = bisect_right(self.grips, time, key=lambda grip: grip.comes) - 1
        return self.grips[index] if index >= 0 and time < self.grips[index].leaves else None


class Director:
    """Writes one script. `write_script` is the way in."""

    def __init__(self, rng: np.random.Generator, seconds: float):
        self.rng = rng
        self.script = Script(seconds)
        self.state = State()
        self.cast: dict[Item, Actor] = {}
        self.column: str | None = None  # the place below the gripper while it holds something
        self._play = {
            "appear": self._appear,
            "remove": self._remove,
            "move": self._move,
            "pick": self._pick_up,
            "put": self._put_down,
        }

    def write(self) -> Script:
        """Draw what happens until the time is over."""
        for _ in range(self.rng.choice(3, p=(0.4, 0.4, 0.2))):
            place, item = self._any(self._free()), self._new_item()
            self._enter(item, 0.0, self._spot(place))
            self.state = self.state.put(place, item)
        self.script.states.append((0.0, self.state))
        time, until_quiet = 0.0, int(self.rng.integers(0, 3))
        while True:
            if until_quiet == 0:
                onset, until_quiet = time + self.rng.uniform(*QUIET), int(self.rng.integers(2, 6))
            else:
                onset, until_quiet = time + self.rng.uniform(*PAUSE), until_quiet - 1
            onset = round(float(onset), 3)
            if onset + CARRY + LOWER + OPEN + RETREAT + TAIL > self.script.seconds:
                return self.script
            kind = self._choose_kind()
            time, item = self._play[kind](onset)
            self.script.states.append((time, self.state))
            self.script.events.append(Event(time, kind, item, onset, event_text(kind, item)))

    # What can happen now

    def _choose_kind(self) -> str:
        seen, held = len(self.state.visible), self.state.held
        weights = {
            "appear": (3.0, 2.5, 1.2, 0.0)[seen] if self._landing() else 0.0,
            "remove": (0.0, 0.4, 0.8, 1.6)[seen] if self._within_reach() else 0.0,
            "move": 1.0 if self._slides() else 0.0,
            "pick": 1.5 if self.state.table and not held else 0.0,
            "put": 2.5 if held else 0.0,
        }
        total = np.array([weights[kind] for kind in KINDS])
        return KINDS[self.rng.choice(len(KINDS), p=total / total.sum())]

    def _free(self) -> list[str]:
        taken = {place for place, _ in self.state.table}
        return [place for place in PLACES if place not in taken]

    def _landing(self) -> list[str]:
        """Free places with nothing above them."""
        return [place for place in self._free() if place != self.column] if len(self.state.visible) < MAX_ITEMS else []

    def _within_reach(self) -> list[Item]:
        """Standing items with nothing above them."""
        return [item for place, item in self.state.table if place != self.column]

    def _slides(self) -> list[tuple[Item, str]]:
        """(item, place) of every slide to a free place with nothing in the way."""
        order, taken = list(PLACES), {place for place, _ in self.state.table}
        slides = []
        for place, item in self.state.table:
            start = order.index(place)
            for stop, goal in enumerate(order):
                between = order[min(start, stop) : max(start, stop) + 1]
                if goal not in taken and not taken.intersection(between) - {place}:
                    slides.append((item, goal))
        return slides

    # The five kinds of event: each moves its actors and returns (time, item)

    def _appear(self, onset: float) -> tuple[float, Item]:
        place, item, stop = self._any(self._landing()), self._new_item(), round(onset + FALL, 3)
        spot = self._spot(place)
        self._enter(item, onset).track.add(onset, stop, (spot[0], ABOVE_Y), spot)
        self.state = self.state.put(place, item)
        return stop, item

    def _remove(self, onset: float) -> tuple[float, Item]:
        item, stop = self._any(self._within_reach()), round(onset + LEAVE, 3)
        actor = self.cast.pop(item)
        actor.leaves, spot = stop, actor.track.at(onset)
        actor.track.add(onset, stop, spot, (spot[0], ABOVE_Y))
        self.state = self.state.without(item)
        return stop, item

    def _move(self, onset: float) -> tuple[float, Item]:
        item, place = self._any(self._slides())
        stop, track = round(onset + SLIDE, 3), self.cast[item].track
        track.add(onset, stop, track.at(onset), self._spot(place))
        self.state = self.state.put(place, item)
        return stop, item

    def _pick_up(self, onset: float) -> tuple[float, Item]:
        place, item = self._any(list(self.state.table))
        actor, hand = self.cast[item], self.script.gripper
        spot = actor.track.at(onset)
        closed = onset + REACH
        lift = closed + CLOSE
        stop = round(lift + LIFT, 3)
        hand.add(onset, closed, (spot[0], _hand_above(actor)), spot, smooth=True)
        for track in (hand, actor.track):
            track.add(lift, stop, spot, (spot[0], HELD_Y))
        self.script.grips.append(Grip(actor, comes=onset, closes=closed))
        self.column = place
        self.state = self.state.lift(item)
        return stop, item

    def _put_down(self, onset: float) -> tuple[float, Item]:
        item, place = cast(Item, self.state.held), self._any(self._free())  # something is held now
        actor, hand = self.cast[item], self.script.gripper
        held, spot = actor.track.at(onset), self._spot(place)
        above = (spot[0], held[1])
        lower = onset + (CARRY if place != self.column else STEADY)
        opened = lower + LOWER
        stop = round(opened + OPEN + RETREAT, 3)
        for track in (hand, actor.track):
            track.add(onset, lower, held, above, smooth=True)
            track.add(lower, opened, above, spot, smooth=True)
        hand.add(opened + OPEN, stop, spot, (spot[0], _hand_above(actor)))
        self.script.grips[-1].opens, self.script.grips[-1].leaves = opened, stop
        self.column = None
        self.state = self.state.put(place, item)
        return stop, item

    # Draws

    def _any(self, options: list[Option]) -> Option:
        return options[int(self.rng.integers(len(options)))]

    def _spot(self, place: str) -> Point:
        return PLACES[place] + float(self.rng.uniform(-0.02, 0.02)), TABLE_Y + float(self.rng.uniform(-0.015, 0.015))

    def _new_item(self) -> Item:
        """An item that is not to be seen now, often of a colour that is, so that counting one takes care."""
        seen = self.state.visible
        items = [Item(c, s) for c in COLOURS for s in SHAPES if Item(c, s) not in seen]
        if seen and self.rng.random() < 0.25:
            items = [item for item in items if item.colour in {other.colour for other in seen}]
        return self._any(items)

    def _enter(self, item: Item, time: float, spot: Point | None = None) -> Actor:
        red, green, blue = (int(v) for v in self.rng.integers(-12, 13, 3))
        size = HEIGHTS[item.shape] * float(self.rng.uniform(0.95, 1.05))
        actor = Actor(item, size, (red, green, blue), Track(spot), time)
        self.script.actors.append(actor)
        self.cast[item] = actor
        return actor


def _hand_above(actor: Actor) -> float:
    """Return y of the gripper's hold when its fingers, made for this item, are just out of view."""
    return ABOVE_Y + TIP * actor.size


def write_script(seed: int, seconds: float) -> Script:
    """Write the script of a stream of `seconds` [s], the same for the same arguments."""
    return Director(np.random.default_rng((seed, 1)), seconds).write()
