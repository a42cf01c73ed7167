# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters on a node: declared with descriptors, checked before a change, handed on after it."""

from __future__ import annotations

from collections.abc import Callable

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from videollm_ros.node.parameters import Declaration, Parameters, declarations, problem_with, read


def descriptor(declaration: Declaration) -> ParameterDescriptor:
    """What `ros2 param describe` and rqt show of a parameter; rclpy enforces range and read_only from it."""
    described = ParameterDescriptor(description=declaration.description, read_only=not declaration.dynamic)
    if declaration.choices:
        described.additional_constraints = f"one of {', '.join(declaration.choices)}"
    if declaration.bounds and declaration.type is int:
        low, high = (int(bound) for bound in declaration.bounds)
        described.integer_range = [IntegerRange(from_value=low, to_value=high)]
    elif declaration.bounds:
        low, high = (float(bound) for bound in declaration.bounds)
        described.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return described


class LiveParameters:
    """Declares the parameters of `cls` on `node` and keeps `current` true to them.

    `on_change(current)` is called after every accepted change. `problem_now(name, value)` is a sentence saying why
    a value that the declaration allows cannot be taken over as things are, or None.

    Raises:
        rclpy.exceptions.ParameterException: an override of the wrong type or out of range.
        ValueError: an override that is not among the choices.
    """

    def __init__(
        self,
        node: Node,
        cls: type = Parameters,
        on_change: Callable[[Parameters], None] = lambda _: None,
        problem_now: Callable[[str, object], str | None] = lambda name, value: None,
    ):
        self._node, self._cls = node, cls
        self._on_change, self._problem_now = on_change, problem_now
        self._declared = {each.name: each for each in declarations(cls)}
        for each in self._declared.values():
            node.declare_parameter(each.name, each.default, descriptor(each))
        self.current = self._read()
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._changed)

    def _read(self) -> Parameters:
        return read(lambda name: self._node.get_parameter(name).value, self._cls)

    def _check(self, changes: list[Parameter]) -> SetParametersResult:
        for change in changes:
            declaration = self._declared.get(change.name)
            if declaration is None:
                continue
            problem = problem_with(declaration, change.value) or self._problem_now(change.name, change.value)
            if problem:
                return SetParametersResult(successful=False, reason=problem)
        return SetParametersResult(successful=True)

    def _changed(self, changes: list[Parameter]) -> None:
        if any(change.name in self._declared for change in changes):
            self.current = self._read()
            self._on_change(self.current)
