# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tabletop world is made of: items, places, kinds of event, and the state of the scene.

Geometry is in frame units: x to the right and y downwards, both from 0 to 1. The camera looks at the
table from the front; an item at rest stands in one of three places, and a held item hangs above them.
"""

from dataclasses import dataclass

SHAPES = ("cup", "cube", "ball", "bottle", "cone")
COLOURS = {  # RGB under neutral light
    "red": (214, 38, 36),
    "green": (36, 160, 62),
    "blue": (34, 84, 214),
    "yellow": (246, 208, 34),
    "purple": (150, 52, 176),
}
PLACES = {"left": 0.17, "middle": 0.5, "right": 0.83}  # x of the centre
KINDS = ("appear", "remove", "move", "pick", "put")
MAX_ITEMS = 3  # visible at once, the held one included


@dataclass(frozen=True, order=True)
class Item:
    """A thing on the table, named by what can be seen of it; no two visible items are equal."""

    colour: str
    shape: str

    def __str__(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Event:
    """Something that happened.

    `time` [s] is when it is decided by eye: the item has landed, left the view or come to rest, or the
    gripper has lifted it, or let it go and left. `onset` [s] is when the motion that leads there began.
    """

    time: float
    kind: str
    item: Item
    onset: float
    text: str  # the sentence in the plain style

    @property
    def meaning(self) -> tuple[str, str, str]:
        """(kind, colour, shape): what `sentences.parse_event` returns for every wording of this event."""
        return self.kind, self.item.colour, self.item.shape


@dataclass(frozen=True)
class State:
    """What is to be seen between two events."""

    table: tuple[tuple[str, Item], ...] = ()  # (place, item) from left to right
    held: Item | None = None

    @property
    def on_table(self) -> tuple[Item, ...]:
        """Items standing on the table, from left to right."""
        return tuple(item for _, item in self.table)

    @property
    def visible(self) -> tuple[Item, ...]:
        """Items on the table from left to right, then the held one."""
        return self.on_table + ((self.held,) if self.held else ())

    def where(self, item: Item) -> str | None:
        """Name of the item's place, "gripper" while it is held, None when it is not to be seen."""
        if item == self.held:
            return "gripper"
        return next((place for place, other in self.table if other == item), None)

    def put(self, place: str, item: Item) -> "State":
        """The state with `item` standing at `place` and nowhere else."""
        rest = self.without(item)
        order = list(PLACES)
        table = sorted((*rest.table, (place, item)), key=lambda pair: order.index(pair[0]))
        return State(tuple(table), rest.held)

    def lift(self, item: Item) -> "State":
        """The state with `item` in the gripper."""
        return State(self.without(item).table, item)

    def without(self, item: Item) -> "State":
        """The state with `item` gone."""
        return State(tuple(pair for pair in self.table if pair[1] != item), None if item == self.held else self.held)
