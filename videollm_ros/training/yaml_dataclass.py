# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A YAML file as nested dataclasses, with every name and type checked.

Pydantic would do most of this. It would not name a setting that was renamed, nor refuse `true` for a number.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

Kind = TypeVar("Kind")


class ConfigError(ValueError):
    """A configuration cannot be used. The message names the setting and what was expected."""


def load_yaml(path: str | Path, kind: type[Kind], renamed: Mapping[str, str] | None = None) -> Kind:
    """Read a YAML file.

    Args:
        path: the file.
        kind: the dataclass that it describes.
        renamed: what settings of earlier versions are called now.

    Raises:
        ConfigError: the file is missing or not YAML, or a setting is unknown, missing or of the wrong type.
    """
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    try:
        return from_values(kind, values, renamed=renamed)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def check_names(
    values: Mapping[str, object], known: Collection[str], name: str, renamed: Mapping[str, str] | None = None
) -> None:
    """Raise ConfigError when a setting of `name` is not known."""
    unknown = sorted(str(setting) for setting in values if setting not in known)
    for setting in unknown:
        if setting in (renamed or {}):
            raise ConfigError(f"{_join(name, setting)} is now {(renamed or {})[setting]}")
    if unknown:
        raise ConfigError(f"unknown setting {_join(name, unknown[0])}; known are {', '.join(sorted(known))}")


def from_values(kind: type[Kind], values: object, name: str = "", renamed: Mapping[str, str] | None = None) -> Kind:
    """Make a dataclass out of nested dictionaries and lists.

    Args:
        kind: the dataclass.
        values: settings by name.
        name: of the setting that this is, for errors.
        renamed: see `load_yaml`.

    Raises:
        ConfigError: a setting is unknown, missing, of the wrong type, or refused by the dataclass.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{name or 'the file'} holds settings by name, not {values!r}")
    hints, fields = get_type_hints(kind), dataclasses.fields(typing.cast(Any, kind))
    check_names(values, hints.keys(), name, renamed)
    for field in fields:
        if field.default is field.default_factory is dataclasses.MISSING and field.name not in values:
            raise ConfigError(f"{_join(name, field.name)} is missing")
    converted = {
        setting: _convert(hints[setting], value, _join(name, setting), renamed) for setting, value in values.items()
    }
    try:
        return kind(**converted)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _convert(kind: Any, value: object, name: str, renamed: Mapping[str, str] | None) -> object:
    if get_origin(kind) in (UnionType, typing.Union):
        if value is None and type(None) in get_args(kind):
            return None
        kind = next(option for option in get_args(kind) if option is not type(None))
    if dataclasses.is_dataclass(kind):
        return from_values(typing.cast(type, kind), value, name, renamed)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        if not isinstance(value, list) or (inner[-1] is not Ellipsis and len(value) != len(inner)):
            raise ConfigError(f"{name} is a list{'' if inner[-1] is Ellipsis else f' of {len(inner)}'}, not {value!r}")
        return tuple(_convert(inner[0], item, f"{name}[{index}]", renamed) for index, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise ConfigError(f"{name} is of type {getattr(kind, '__name__', kind)}, not {value!r}")


def _join(name: str, setting: str) -> str:
    return f"{name}.{setting}" if name else setting
