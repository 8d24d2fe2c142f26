"""A type of field is one module: what is derived from it is written, and no two are confused."""

from __future__ import annotations

import pytest

import twinstream
from twinstream.define import generate
from twinstream.define.field_types import TYPES, VALUE_KINDS
from twinstream.define.fields.base import UNSCANNED


@pytest.mark.parametrize("path", generate.derived(), ids=lambda path: path.name)
def test_what_is_derived_from_the_types_is_written(path):
    assert path.read_text() == generate.derived()[path], f"run `{generate.COMMAND}`"


def test_every_type_is_exported_to_users():
    assert {kind.__name__ for kind in TYPES} <= set(twinstream.__all__)
    assert set(generate.types_by_module().values()) == set(TYPES)


def test_names_and_codes_of_types_differ():
    codes = [kind.scan_code for kind in TYPES if kind.scan_code != UNSCANNED]
    assert len(codes) == len(set(codes))
    assert len(TYPES) == len({kind.kind for kind in TYPES})


def test_every_type_has_a_kind_of_expression():
    assert {kind.expression.name for kind in TYPES} <= VALUE_KINDS.keys()
