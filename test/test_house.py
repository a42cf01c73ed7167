# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The house rules that a program can check: short files, short functions, and no import against the order of the rooms.

import-linter checks the order of the imports too (make lint). Here an import inside a function counts as well.
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "videollm_ros"
ROOMS = ("media", "live", "sim", "assistant", "data", "evaluation", "training", "node")  # a room imports earlier ones
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES_OF_A_FILE = 300
MAX_LINES_OF_A_FUNCTION = 40
"""With its signature and its docstring, without its decorators."""


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def imported_modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.fixture(scope="module")
def trees():
    assert len(FILES) > 100
    return {path.relative_to(PACKAGE): ast.parse(path.read_text()) for path in FILES}


def test_no_file_is_longer_than_300_lines():
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES_OF_A_FILE} == {}


def test_no_function_is_longer_than_40_lines(trees):
    lengths = {
        f"{path}: {function.name}": function.end_lineno - function.lineno + 1
        for path, tree in trees.items()
        for function in functions(tree)
    }
    assert {name: length for name, length in lengths.items() if length > MAX_LINES_OF_A_FUNCTION} == {}


def test_no_import_goes_against_the_order_of_the_rooms_wherever_it_stands(trees):
    above = [
        f"{path} imports {module}"
        for path, tree in trees.items()
        for module in imported_modules(tree)
        if path.parts[0] in ROOMS
        and module.startswith("videollm_ros.")
        and (room := module.split(".")[1]) in ROOMS
        and ROOMS.index(room) > ROOMS.index(path.parts[0])
    ]
    assert above == []


def test_only_the_nodes_import_ros_wherever_the_import_stands(trees):
    ros = {"rclpy", "sensor_msgs", "std_msgs", "std_srvs", "diagnostic_msgs", "lifecycle_msgs", "rcl_interfaces"}
    found = [
        f"{path} imports {module}"
        for path, tree in trees.items()
        for module in imported_modules(tree)
        if path.parts[0] != "node" and module.split(".")[0] in ros
    ]
    assert found == []


def test_no_relative_import(trees):
    relative = {
        str(path)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    }
    assert relative == set()
