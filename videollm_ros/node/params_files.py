# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Notice params files that say nothing to this node, for instance because the node's name is misspelled in them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml


def unheard_files(args: Sequence[str], node_name: str) -> Iterator[str]:
    """Yield a sentence for each `--params-file` of a command line that has no section for a node.

    Args:
        args: the command line, with `--params-file FILE` in it.
        node_name: fully qualified name of the node, such as /robot/assistant.
    """
    for flag, path in itertools.pairwise(args):
        if flag != "--params-file":
            continue
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeError, yaml.YAMLError):
            continue  # rcl has read it: what it takes and this does not is no reason to complain
        names = list(sections(content)) if isinstance(content, dict) else []
        if not any(names_node(each, node_name) for each in names):
            yield (
                f"{path} sets parameters of {', '.join(names)[:200]}, and this node is {node_name}: it reads none of "
                f"them. Name the section {node_name}, or /** for every node."
            )


def sections(content: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the node names of a params file, namespaces joined to them: /robot/assistant, /**."""
    for key, value in content.items():
        name = f"{prefix}/{str(key).strip('/')}"
        if isinstance(value, dict):
            if "ros__parameters" in value:
                yield name
            else:
                yield from sections(value, name)


def names_node(section: str, node_name: str) -> bool:
    """Return whether a section applies to a node. In it, /* stands for one name and /** for any number of them."""
    pattern = re.escape(section).replace(r"/\*\*", r"(/[^/]+)*").replace(r"/\*", r"/[^/]+")
    return re.fullmatch(pattern, node_name) is not None
