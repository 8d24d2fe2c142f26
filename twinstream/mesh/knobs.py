"""What one service can be told beside where the mesh is: each knob is a field, and read from an
environment variable of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar, Self

import msgspec

from twinstream.errors import SettingsError


class Knobs(msgspec.Struct, frozen=True, kw_only=True):
    """The variable of a field is `PREFIX` and its name in capitals;
    one that is empty counts as not set.
    """

    PREFIX: ClassVar[str]
    ELSE: ClassVar[Mapping[str, str]] = {}
    """Field -> a variable of the whole mesh that is read when the field's own is not set."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Raises SettingsError naming the variable that is wrong."""
        env = os.environ if env is None else env
        names = {field: cls._name_of(field, env) for field in cls.__struct_fields__}
        given = {field: env[name] for field, name in names.items() if name}
        try:
            return msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as error:
            name = names.get(_field_of(error)) or cls.PREFIX + "*"
            raise SettingsError(f"{name}: {error}") from error

    @classmethod
    def _name_of(cls, field: str, env: Mapping[str, str]) -> str:
        """The variable that sets a field, "" when none does."""
        possible = (cls.PREFIX + field.upper(), cls.ELSE.get(field, ""))
        return next((name for name in possible if env.get(name)), "")


def _field_of(error: msgspec.ValidationError) -> str:
    """Its message ends with the path of the field."""
    return str(error).rsplit("$.", 1)[-1].strip("`")
