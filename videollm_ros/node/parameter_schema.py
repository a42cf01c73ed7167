# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turn dataclasses of settings into ROS parameters: names, types, checks and the table in the documentation.

A field named `threshold` of the group `stream` is the ROS parameter `stream.threshold`. Fields of the outermost
dataclass that are no groups have no prefix. `assistant.settings.setting` makes the fields.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from videollm_ros.assistant.settings import setting

ROS_TYPES = {bool: "bool", int: "integer", float: "double", str: "string"}
parameter = setting


@dataclass(frozen=True)
class Declaration:
    """One ROS parameter: its full dotted name and what is known about it."""

    name: str
    type: type
    default: bool | float | str
    description: str
    dynamic: bool
    bounds: tuple[float, float] | None
    choices: tuple[str, ...]


def declarations(cls: type, prefix: str = "") -> Iterator[Declaration]:
    """Yield every parameter of the dataclass `cls`, groups flattened to dotted names, in the order declared."""
    types = typing.get_type_hints(cls)
    for entry in dataclasses.fields(cls):
        if dataclasses.is_dataclass(types[entry.name]):
            yield from declarations(types[entry.name], f"{prefix}{entry.name}.")
        else:
            yield _declaration(entry, types[entry.name], prefix)


def _declaration(entry: dataclasses.Field[Any], kind: type, prefix: str) -> Declaration:
    return Declaration(prefix + entry.name, kind, cast("bool | float | str", entry.default), **entry.metadata)


def read(value_of: Callable[[str], object], cls: type, prefix: str = "") -> Any:
    """Build `cls` from `value_of(full dotted name)`.

    Raises:
        ValueError: A value has the wrong type, is out of its range or not among its choices.
    """
    types = typing.get_type_hints(cls)
    values = {}
    for entry in dataclasses.fields(cls):
        if dataclasses.is_dataclass(types[entry.name]):
            values[entry.name] = read(value_of, types[entry.name], f"{prefix}{entry.name}.")
            continue
        declaration = _declaration(entry, types[entry.name], prefix)
        value = value_of(declaration.name)
        if problem := problem_with(declaration, value):
            raise ValueError(problem)
        values[entry.name] = value
    return cls(**values)


def problem_with(declaration: Declaration, value: object) -> str | None:
    """Return a sentence that says why `value` is no value for this parameter, or None if it is one."""
    name, wanted = declaration.name, declaration.type
    if type(value) is not wanted:
        return f"{name} has the type {ROS_TYPES[wanted]}, and was given {value!r}."
    if declaration.choices and value not in declaration.choices:
        return f"{name} is one of {', '.join(declaration.choices)}, and was given {value!r}."
    if declaration.bounds:
        low, high = declaration.bounds
        if isinstance(value, float | int) and not low <= value <= high:  # NaN lies nowhere
            return f"{name} lies between {low} and {high}, and was given {value}."
    return None


def markdown_table(cls: type) -> str:
    """Return the parameters of the dataclass `cls` as a markdown table, one row each."""
    rows = [
        "| parameter | type | default | range | live | meaning |",
        "|---|---|---|---|---|---|",
    ]
    for each in declarations(cls):
        allowed = " ".join(f"`{c}`" for c in each.choices)
        if each.bounds:
            allowed = "{:.10g} to {:.10g}".format(*each.bounds)
        default = str(each.default).lower() if each.type is bool else each.default
        cells = (
            f"`{each.name}`",
            ROS_TYPES[each.type],
            f"`{default}`" if default != "" else "",
            allowed,
            "yes" if each.dynamic else "",
            each.description.replace("|", r"\|"),
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)
