#!/usr/bin/env python3
# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write foxglove/videollm_ros.json, the layout of docs/console.md, with the classes of foxglove-sdk.

python tools/foxglove_layout.py [--assistant /assistant] [--image /image] > foxglove/videollm_ros.json
"""

from __future__ import annotations

import argparse
import json
import re

from foxglove.layouts import (
    Content,
    DiagnosticsDetailConfig,
    DiagnosticsDetailPanel,
    ImageConfig,
    ImageModeConfig,
    ImagePanel,
    Layout,
    PlotConfig,
    PlotPanel,
    PlotSeries,
    PublishConfig,
    PublishPanel,
    RawMessagesConfig,
    RawMessagesPanel,
    ServiceCallConfig,
    ServiceCallPanel,
    SplitContainer,
    SplitItem,
)

HISTORY = 120.0  # seconds of speak probability
QUESTION = "What is on the table?"


def stack(*contents: tuple[float, Content], direction: str = "column") -> SplitContainer:
    """Put panels below one another, or side by side."""
    items = [SplitItem(proportion=proportion, content=content) for proportion, content in contents]
    return SplitContainer(direction=direction, items=items)


def plot(assistant: str) -> PlotPanel:
    """The probability of every frame, and the threshold of silence."""
    topic = f"{assistant}/speak_probability"
    series = [
        PlotSeries(value=f"{topic}.probability", label="speak probability", timestamp_method="headerStamp"),
        PlotSeries(
            value=f"{topic}.threshold",
            label="stream.threshold",
            timestamp_method="headerStamp",
            line_style="dashed",
            line_interpolation="step",
        ),
    ]
    config = PlotConfig(
        paths=series,
        min_y_value=0,
        max_y_value=1,
        time_window_mode="sliding",
        following_view_width=HISTORY,
        show_legend=True,
    )
    return PlotPanel(title="Speak probability", config=config)


def service(name: str, title: str, request: dict[str, object]) -> ServiceCallPanel:
    """A button that calls a service."""
    config = ServiceCallConfig(
        service_name=name, request_payload=json.dumps(request), button_text=title, layout="vertical"
    )
    return ServiceCallPanel(title=title, config=config)


def layout(assistant: str, image: str) -> Layout:
    """The whole layout: what the assistant sees and says on the left, what one does to it on the right."""
    camera = ImagePanel(title="Camera", config=ImageConfig(image_mode=ImageModeConfig(image_topic=image)))
    said = RawMessagesPanel(
        title="Utterance", config=RawMessagesConfig(topic_path=f"{assistant}/utterance_partial", expansion="all")
    )
    query = PublishPanel(
        title="Ask",
        config=PublishConfig(
            topic_name=f"{assistant}/query",
            datatype="std_msgs/msg/String",
            button_text="Ask",
            value=json.dumps({"data": QUESTION}),
        ),
    )
    health = DiagnosticsDetailPanel(
        title="Diagnostics",
        config=DiagnosticsDetailConfig(
            topic_to_render="/diagnostics", selected_hardware_id=assistant, selected_name=f"{assistant}: model"
        ),
    )
    left = stack((2, camera), (1, plot(assistant)))
    right = stack(
        (2, said),
        (1, query),
        (1, service(f"{assistant}/mute", "Mute", {"data": True})),
        (1, service(f"{assistant}/reset", "Reset", {})),
        (2, health),
    )
    return Layout(content=stack((3, left), (2, right), direction="row"))


def main() -> None:
    """Print the layout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assistant", default="/assistant", help="full name of the assistant's node")
    parser.add_argument("--image", default="/image", help="topic of the camera")
    arguments = parser.parse_args()
    text = json.dumps(json.loads(layout(arguments.assistant, arguments.image).to_json()), indent=2, sort_keys=True)
    print(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))


if __name__ == "__main__":
    main()
