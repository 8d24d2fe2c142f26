"""Writes what is derived from the aggregates: `python -m twinstream.algebra.generate`. A test says
when it must be run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twinstream.algebra import aggregates

ROOT = Path(__file__).parents[2]
EXPORTS = ROOT / "twinstream" / "aggregates.py"
ANSWERS = ROOT / "twinstream" / "algebra" / "compiled" / "answers.py"
REFERENCES = (ROOT / "docs" / "algebra.md", ROOT / "docs" / "definition.md")
PACKAGE = aggregates.__name__
COMMAND = "python -m twinstream.algebra.generate"
BEGIN, END = "<!-- aggregates: begin (generated) -->", "<!-- aggregates: end -->"

EXPORTS_FORM = '''"""The aggregates that a definition may use. Written by `{command}`."""

from __future__ import annotations

{imports}

__all__ = [
{names}
]
'''
ANSWERS_FORM = '''"""The answer of each form. Written by `{command}`."""

from __future__ import annotations

import math

{imports}
from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.merged import Merged, Slots


@compiled_late
def answer_of_form(form: int, m: Merged, s: Slots) -> float:
{cases}
    return math.nan
'''


def written() -> dict[Path, str]:
    """The text of every file that is derived."""
    modules = {kind: aggregates.module_of(kind) for kind in aggregates.kinds()}
    table = reference(modules)
    found = {EXPORTS: exports(modules), ANSWERS: answers(modules)}
    return found | {path: _between(path.read_text(), table) for path in REFERENCES}


def constructor(kind: str) -> str:
    """The name of a kind's constructor: the kind, with a `_` where Python has that name itself."""
    return kind if hasattr(aggregates.module_of(kind), kind) else f"{kind}_"


def exports(modules: dict[str, Any]) -> str:
    """A module with every constructor."""
    names = {kind: constructor(kind) for kind in modules}
    return EXPORTS_FORM.format(
        command=COMMAND,
        imports="\n".join(f"from {PACKAGE}.{kind} import {name}" for kind, name in names.items()),
        names="\n".join(f'    "{name}",' for name in sorted(names.values())),
    )


def answers(modules: dict[str, Any]) -> str:
    """A module that chooses the answer of a form."""
    homes = homes_of_answers(modules)
    kinds = sorted(homes.values())
    cases = [
        f"    if form == {form}:\n        return answer_{homes[form]}(m, s)"
        for form in sorted(homes)
    ]
    return ANSWERS_FORM.format(
        command=COMMAND,
        imports="\n".join(
            f"from {PACKAGE}.{kind} import answer as answer_{kind}" for kind in kinds
        ),
        cases="\n".join(cases),
    )


def homes_of_answers(modules: dict[str, Any]) -> dict[int, str]:
    """By form the kind whose module has its answer; aggregates of one form have one answer."""
    homes: dict[int, str] = {}
    for module in modules.values():
        home = module.answer.__module__.rpartition(".")[2]
        if homes.setdefault(module.FORM, home) != home:
            raise ValueError(
                f"form {module.FORM} is the answer of {homes[module.FORM]} and of {home}: "
                f"give the newer one a number of its own"
            )
    return homes


def reference(modules: dict[str, Any]) -> str:
    """The table of all aggregates."""
    rows = [f"| {' | '.join(module.DOCUMENTED)} |" for module in modules.values()]
    return "\n".join(["| aggregate | answer | no value |", "|---|---|---|", *rows])


def _between(text: str, table: str) -> str:
    """The document with its table replaced."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


if __name__ == "__main__":
    for path, text in written().items():
        path.write_text(text)
