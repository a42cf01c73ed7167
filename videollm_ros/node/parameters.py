# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The assistant's parameters: each one declared, described, bounded and typed once, here or in `assistant.settings`.

The node's declarations (`declarations`), the reading back (`read`), the check of a change (`problem_with`) and
the table in docs/ros.md all come from the dataclasses. A field named `threshold` of the group `stream`
is the ROS parameter `stream.threshold`; the fields of `Parameters` itself that are no groups have no prefix.

`python -m videollm_ros.node.parameters` prints the table.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from videollm_ros.assistant.settings import AssistantSettings, ContextSettings, SpeechSettings, StreamSettings, setting

ROS_TYPES = {bool: "bool", int: "integer", float: "double", str: "string"}


parameter = setting


@dataclass(frozen=True)
class ModelParameters:
    """Which model, and how it is loaded. Read when the node is configured."""

    checkpoint: str = parameter(
        "",
        "Hub id or folder of the checkpoint: a published adapter, or what save_pretrained wrote.",
    )
    llm: str = parameter(
        "",
        "Hub id or folder of the base language model; empty: where the checkpoint says it is.",
    )
    vision: str = parameter(
        "",
        "Hub id or folder of the vision tower; empty: where the checkpoint says it is.",
    )
    device: str = parameter(
        "auto",
        "Device of the model: auto, cpu, cuda, cuda:1, ...; auto: a GPU if there is one.",
    )
    dtype: str = parameter(
        "auto",
        "Precision of the weights; auto: bfloat16 on a GPU, float32 on a CPU.",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    quantization: str = parameter(
        "none",
        "Weight-only quantization of the language model.",
        choices=("none", "int8", "int4", "fp8"),
    )
    cpu_threads: int = parameter(
        0,
        "Threads of PyTorch on the CPU; 0: torch's choice. Small models run best with 1.",
        bounds=(0, 1024),
    )
    load_retries: int = parameter(
        0,
        "How often a failed load is tried again, each time after a longer wait. 0 gives up at once.",
        bounds=(0, 1000),
    )


@dataclass(frozen=True)
class ImageParameters:
    """How the camera is subscribed to."""

    qos: str = parameter(
        "auto",
        "Reliability of the image subscription; auto: what the publisher offers.",
        choices=("auto", "reliable", "best_effort"),
    )
    stamp: str = parameter(
        "auto",
        "Time of an image. header is its stamp, arrival the time at which it came. auto is the stamp where it has one, "
        "and finds out how far the camera's clock is off.",
        choices=("auto", "header", "arrival"),
    )
    formats: str = parameter(
        "jpeg_png",
        "Formats of a compressed image that are decoded. Every format is one more parser that peers can reach.",
        choices=("jpeg_png", "jpeg_png_webp"),
    )


@dataclass(frozen=True)
class Parameters:
    """All parameters of the assistant node."""

    autostart: bool = parameter(True, "Configure and activate at start; false: wait for lifecycle transitions.")
    image_transport: str = parameter(
        "raw",
        "Type of the topic image: raw is sensor_msgs/Image, compressed is sensor_msgs/CompressedImage.",
        choices=("raw", "compressed"),
    )
    image: ImageParameters = field(default_factory=ImageParameters)
    model: ModelParameters = field(default_factory=ModelParameters)
    stream: StreamSettings = field(default_factory=StreamSettings)
    context: ContextSettings = field(default_factory=ContextSettings)
    speech: SpeechSettings = field(default_factory=SpeechSettings)

    @property
    def assistant(self) -> AssistantSettings:
        """The settings of the stream."""
        return AssistantSettings(self.stream, self.context, self.speech)


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


def declarations(cls: type = Parameters, prefix: str = "") -> Iterator[Declaration]:
    """Every parameter of the dataclass `cls`, groups flattened to dotted names, in the order declared."""
    types = typing.get_type_hints(cls)
    for entry in dataclasses.fields(cls):
        if dataclasses.is_dataclass(types[entry.name]):
            yield from declarations(types[entry.name], f"{prefix}{entry.name}.")
        else:
            yield Declaration(prefix + entry.name, types[entry.name], cast(Any, entry.default), **entry.metadata)


def read(value_of: Callable[[str], object], cls: type = Parameters, prefix: str = "") -> Any:
    """Build `cls` from `value_of(full dotted name)`.

    Raises:
        ValueError: a value of the wrong type, out of its range or not among its choices; says which parameter.
    """
    types = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for entry in dataclasses.fields(cls):
        if dataclasses.is_dataclass(types[entry.name]):
            values[entry.name] = read(value_of, types[entry.name], f"{prefix}{entry.name}.")
            continue
        declaration = Declaration(prefix + entry.name, types[entry.name], cast(Any, entry.default), **entry.metadata)
        value = value_of(declaration.name)
        if problem := problem_with(declaration, value):
            raise ValueError(problem)
        values[entry.name] = value
    return cls(**values)


def problem_with(declaration: Declaration, value: object) -> str | None:
    """A sentence saying why `value` is no value for this parameter, or None when it is one."""
    name, wanted = declaration.name, declaration.type
    if type(value) is not wanted:
        hint = f" Write {value}.0." if wanted is float and type(value) is int else ""
        return f"{name} has the type {ROS_TYPES[wanted]}, and was given {value!r}.{hint}"
    if declaration.choices and value not in declaration.choices:
        return f"{name} is one of {', '.join(declaration.choices)}, and was given {value!r}."
    if declaration.bounds and isinstance(value, (int, float)):
        low, high = declaration.bounds
        if math.isnan(value) or not low <= value <= high:
            return f"{name} lies between {low} and {high}, and was given {value}."
    return None


def markdown_table(cls: type = Parameters) -> str:
    """The parameters as a markdown table, one row each."""
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


if __name__ == "__main__":
    print(markdown_table())
