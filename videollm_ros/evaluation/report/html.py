# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Put sections together to a self-contained HTML page."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

_HERE = Path(__file__).parent
_PLOTLY = _HERE / "vendor" / "plotly-basic" / "plotly-basic.min.js"
"""Lines, markers and bars. The whole of Plotly is four times as large, and a browser takes a second to read it."""

Section = dict[str, Any]


def write_page(title: str, sections: Sequence[Section], path: Path) -> None:
    """Write a page. It loads nothing, and its policy forbids it to.

    Args:
        title: of the window.
        sections: what `page.js` draws, one below the other.
        path: the file.
    """
    data = json.dumps({"sections": list(sections)}, ensure_ascii=False, separators=(",", ":"))
    page = Template((_HERE / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        css=(_HERE / "page.css").read_text(encoding="utf-8"),
        data=data.replace("<", "\\u003c"),
        plotly=_PLOTLY.read_text(encoding="utf-8").replace("</script", "<\\/script"),
        script="".join((_HERE / name).read_text(encoding="utf-8") for name in ("timeline.js", "page.js")),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def column(label: str, **options: bool) -> dict[str, Any]:
    """Describe a column of a table. Options: number, text, outcome."""
    return {"label": label, **options}


def number(value: Any, digits: int = 3) -> str:
    """Write a figure, with its interval where it has one."""
    if isinstance(value, dict):
        low, high = value["interval"]
        return f"{value['value']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
    return "–" if value is None else f"{value:.{digits}f}"


def flat(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """List nested settings as (name, value) to show."""
    rows: list[tuple[str, str]] = []
    for name, value in facts.items():
        if isinstance(value, dict):
            rows += flat(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, "–" if value in (None, "") else str(value)))
    return rows
