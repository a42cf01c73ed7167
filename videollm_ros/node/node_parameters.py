# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Declare parameters on a node, refuse what does not exist or fit, and hand every change on."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.node import Node
from rclpy.parameter import Parameter

from videollm_ros.node.parameter_schema import Declaration, declarations, problem_with, read

# Declared by rclpy on every node and read-only to it, so that no node could load its own dump.
OF_RCLPY = "start_type_description_service"
RESTART = "It is read when the node starts: start it again with the new value."


class UnknownParameterError(ParameterNotDeclaredException):
    """A parameter that does not exist was set. The text is a sentence with the one that may be meant."""

    def __init__(self, sentence: str):
        Exception.__init__(self, sentence)


def descriptor(declaration: Declaration) -> ParameterDescriptor:
    """Return what `ros2 param describe` and rqt show of a parameter. rclpy enforces the range from it.

    No parameter is read-only to rclpy: whether a change is possible depends on the state of the node, and setting a
    parameter to the value that it has (as loading the node's own dump does) is no change.
    """
    described = ParameterDescriptor(description=declaration.description)
    if declaration.choices:
        described.additional_constraints = f"one of {', '.join(declaration.choices)}"
    if declaration.bounds:
        low, high = declaration.bounds
        if declaration.type is int:
            described.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        else:
            described.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    return described


class NodeParameters:
    """Declares the parameters of a dataclass on a node and keeps `current` equal to them.

    An integer is taken where a double is expected, in overrides and in later changes.

    Args:
        node: the node that gets the parameters.
        cls: a dataclass of `parameter` fields and groups of them.
        on_change: called with `current` after every accepted change.
        problem_now: returns a sentence if a value that the declaration allows cannot be taken as things are, or None.
        locked: returns a sentence if a parameter that is not dynamic cannot change now, or an empty string.

    Raises:
        rclpy.exceptions.ParameterException: an override has the wrong type or is out of range.
        ValueError: an override is not among the choices, or there is no parameter of its name.
    """

    def __init__(
        self,
        node: Node,
        cls: type,
        on_change: Callable[[Any], None] = lambda _: None,
        problem_now: Callable[[str, object], str | None] = lambda name, value: None,
        locked: Callable[[], str] = lambda: RESTART,
    ):
        self._node, self._cls = node, cls
        self._on_change, self._problem_now, self._locked = on_change, problem_now, locked
        self._declared = {each.name: each for each in declarations(cls)}
        # rclpy has no public way to see the overrides of parameters that are not declared.
        overrides: dict[str, Parameter] = node._parameter_overrides
        overrides.update({each.name: each for each in self._as_doubles(overrides.values())})
        for each in self._declared.values():
            node.declare_parameter(each.name, each.default, descriptor(each))
        if unknown := [name for name in overrides if not node.has_parameter(name)]:
            raise ValueError(" ".join(self._unknown(name) for name in unknown[:5]))
        if node.has_parameter(OF_RCLPY):
            node.describe_parameter(OF_RCLPY).read_only = False  # `_check` refuses every change instead
        self.current = self._read()
        node.add_pre_set_parameters_callback(self._prepare)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._changed)

    def _prepare(self, changes: list[Parameter]) -> list[Parameter]:
        """Take integers for doubles. Raises `UnknownParameterError`, whose sentence whoever sets the parameter gets."""
        for change in changes:
            if not self._node.has_parameter(change.name):
                raise UnknownParameterError(self._unknown(change.name))
        return self._as_doubles(changes)

    def _as_doubles(self, parameters: Iterable[Parameter]) -> list[Parameter]:
        """Replace the integers among parameters that are doubles."""

        def converted(given: Parameter) -> Parameter:
            declaration = self._declared.get(given.name)
            is_double = declaration is not None and declaration.type is float
            if is_double and given.type_ == Parameter.Type.INTEGER:
                return Parameter(given.name, value=float(given.value))
            return given

        return [converted(each) for each in parameters]

    def _unknown(self, name: str) -> str:
        """Return a sentence about a parameter that does not exist, with the one that may be meant."""
        by_last_part = {known.rpartition(".")[2]: known for known in self._declared}
        near = difflib.get_close_matches(name[:100], self._declared, n=1)
        near += [by_last_part[each] for each in difflib.get_close_matches(name[:100], by_last_part, n=1)]
        hint = f"Did you mean {near[0]}?" if near else "docs/ros.md lists the parameters."
        return f"There is no parameter {name[:100]}. {hint}"

    def _read(self) -> Any:
        return read(lambda name: self._node.get_parameter(name).value, self._cls)

    def _check(self, changes: list[Parameter]) -> SetParametersResult:
        for change in changes:
            declaration = self._declared.get(change.name)
            if change.value == self._node.get_parameter(change.name).value:
                continue
            if change.name == OF_RCLPY:
                return SetParametersResult(successful=False, reason=f"{OF_RCLPY} cannot change. {RESTART}")
            if declaration is None:
                continue
            problem = problem_with(declaration, change.value) or self._problem_now(change.name, change.value)
            if not problem and not declaration.dynamic and (reason := self._locked()):
                problem = f"{change.name} cannot change now. {reason}"
            if problem:
                return SetParametersResult(successful=False, reason=problem)
        return SetParametersResult(successful=True)

    def _changed(self, changes: list[Parameter]) -> None:
        if any(change.name in self._declared for change in changes):
            self.current = self._read()
            self._on_change(self.current)
