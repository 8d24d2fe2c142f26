"""Compiled code is kept under the digest of all that it is made of."""

from __future__ import annotations

import re
from pathlib import Path

from twinstream.algebra.compiled import jit

ALGEBRA = Path(jit.__file__).parent.parent


def test_every_module_that_compiled_code_imports_is_in_the_digest():
    files = [*ALGEBRA.glob("compiled/*.py"), *(ALGEBRA / f"{name}.py" for name in jit.SOURCES)]
    imported = {
        name
        for file in files
        for name in re.findall(
            r"from twinstream\.algebra\.(?!aggregates|compiled)(\w+) import", file.read_text()
        )
    }
    assert imported <= set(jit.SOURCES)


def test_every_function_is_compiled_by_our_decorator_without_fastmath():
    for file in [*ALGEBRA.rglob("*.py")]:
        text = file.read_text()
        assert file.name == "jit.py" or "numba" not in re.sub(
            r'""".*?"""', "", text, flags=re.DOTALL
        ), file
        assert "fastmath=" not in text


def test_no_compiled_function_sorts_by_numbas_argsort():
    """Its parts would share names with those of numba's sort, and code kept by two processes could be linked to the wrong ones."""
    assert [
        file.name for file in ALGEBRA.glob("compiled/*.py") if "np.argsort(" in file.read_text()
    ] == []
