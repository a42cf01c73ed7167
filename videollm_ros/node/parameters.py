# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The assistant's parameters: each one declared, described, bounded and typed once, here or in `assistant.settings`.

`python -m videollm_ros.node.parameters` prints the table of docs/ros.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from videollm_ros.assistant.settings import AssistantSettings, ContextSettings, SpeechSettings, StreamSettings
from videollm_ros.node.parameter_schema import markdown_table, parameter


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


if __name__ == "__main__":
    print(markdown_table(Parameters))
