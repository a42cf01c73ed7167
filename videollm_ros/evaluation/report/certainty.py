# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Say how sure a figure is: its interval, or a bound where a bootstrap has no error to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scipy.stats import binomtest, chi2

from videollm_ros.evaluation.report.html import number
from videollm_ros.evaluation.scores.intervals import Parts

BRACKETS = "Square brackets: 95 % interval by bootstrap over"
HINT = (
    "Where no recording has an error, or all have, a bootstrap has nothing else to draw. Then what the count allows "
    "stands there: Wilson's 95 % bound of a share, Poisson's of a rate, as if what is counted were independent."
)
_SHARES = ("event_f1", "event_precision", "event_recall", "repeat_rate", "answered", "replied")
_RATES = ("false_per_quiet_minute",)


def figure(name: str, metrics: Mapping[str, Any]) -> str:
    """Write a figure with its interval or its bound, for a table."""
    value = metrics[name]
    if not _has_no_width(value):
        return number(value)
    return f"{number(value['value'])} ({_bound(name, value['value'], _parts(name, metrics))})"


def tile(name: str, label: str, metrics: Mapping[str, Any]) -> dict[str, str]:
    """Describe a figure in large type, with its interval or its bound in small type."""
    value = metrics[name]
    if not isinstance(value, dict):
        return {"label": label, "value": number(value), "small": ""}
    low, high = value["interval"]
    small = f"95 %: {low:.3f} to {high:.3f}"
    if _has_no_width(value):
        small = _bound(name, value["value"], _parts(name, metrics))
    return {"label": label, "value": number(value["value"]), "small": small}


def _has_no_width(value: Any) -> bool:
    return isinstance(value, dict) and value["interval"][0] == value["interval"][1]


def _parts(name: str, metrics: Mapping[str, Any]) -> list[Parts]:
    """Return what was counted on each recording, or on each item of a benchmark."""
    counted = metrics.get("recordings", metrics.get("items", []))
    return [tuple(each["parts"][name]) for each in counted if name in each.get("parts", {})]


def _bound(name: str, value: float, parts: Sequence[Parts]) -> str:
    """Say what the count allows for a figure that is the same on every recording."""
    right, count = sum(above for above, _ in parts), sum(below for _, below in parts)
    if name in _RATES and value == 0 and count > 0:
        return f"none in {count:.1f} min: at most {chi2.ppf(0.975, 2) / 2 / count:.3f}"
    share = name in _SHARES or "accuracy" in name
    if name == "event_f1":  # which counts every utterance and every event, so a match twice
        right, count = right / 2, count / 2
    if share and value in (0, 1) and count >= 1:
        limits = binomtest(round(right), round(count)).proportion_ci(0.95, method="wilson")
        bound = f"at least {limits.low:.3f}" if value else f"at most {limits.high:.3f}"
        return f"{round(right)} of {round(count)}: {bound}"
    return "the same everywhere"
