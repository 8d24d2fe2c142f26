"""Writes what is derived from the types of fields: `python -m twinstream.define.generate`.
A test says when it must be run.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

from twinstream.define import fields
from twinstream.define.fields.base import FieldType

ROOT = Path(__file__).parents[2]
EXPORTS = ROOT / "twinstream" / "define" / "fields" / "__init__.py"
REFERENCE = ROOT / "docs" / "definition.md"
COMMAND = "python -m twinstream.define.generate"
HEAD = ("type", "JSON", "CSV", "Arrow, Parquet", "stored as")
BEGIN, END = "<!-- types: begin (generated) -->", "<!-- types: end -->"
EXPORTS_FORM = '''"""The types of fields, one module each. Written by `{command}`."""

from __future__ import annotations

{imports}

__all__ = [
{names}
]
'''


def derived() -> dict[Path, str]:
    """The text of every file that is derived."""
    found = types_by_module()
    return {EXPORTS: exported(found), REFERENCE: _with_table(REFERENCE.read_text(), found)}


def types_by_module() -> dict[str, type[FieldType]]:
    """Each module of the package that defines a type, and the type."""
    modules = {name: import_module(f"{fields.__name__}.{name}") for name in _names()}
    return {name: kind for name, module in modules.items() for kind in _defined_in(module)}


def exported(found: dict[str, type[FieldType]]) -> str:
    """A module with every type."""
    package = fields.__name__
    return EXPORTS_FORM.format(
        command=COMMAND,
        imports="\n".join(
            f"from {package}.{name} import {kind.__name__}" for name, kind in found.items()
        ),
        names="\n".join(f'    "{name}",' for name in sorted(k.__name__ for k in found.values())),
    )


def _names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(fields.__path__))


def _defined_in(module: object) -> list[type[FieldType]]:
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, FieldType)
        and kind is not FieldType
        and kind.__module__ == getattr(module, "__name__", "")
    ]


def _with_table(text: str, found: dict[str, type[FieldType]]) -> str:
    """The document with its table of types replaced."""
    rows = [HEAD, ("---",) * len(HEAD), *(kind.documented for kind in found.values())]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    for path, text in derived().items():
        path.write_text(text)
