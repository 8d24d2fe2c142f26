"""Compiled code is kept under the digest of all that it is made of."""

from __future__ import annotations

import ast
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
        code = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
        assert file.name in {"jit.py", "intrinsics.py"} or "numba" not in code, file
        assert file.name == "jit.py" or "njit" not in code, file
        assert "fastmath=" not in text


def test_only_arguments_are_lent_and_none_is_returned():
    """An array that nobody owns any more is read after it was freed: what a function lends, its
    caller owns.
    """
    for file in ALGEBRA.glob("compiled/*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef):
                mine = {argument.arg for argument in function.args.args}
                taken = [owner_of(call.args[0], function) for call in loans(function)]
                assert set(taken) <= mine, (file.name, function.name, taken)
                if loans(function) and not function.name.startswith("lent_"):
                    returned = ast.get_source_segment(file.read_text(), function.returns) or ""
                    assert returned in {"None", "int", "tuple[int, int]"}, (
                        file.name,
                        function.name,
                    )


def loans(function: ast.FunctionDef) -> list[ast.Call]:
    """Calls that lend something."""
    return [
        call
        for call in ast.walk(function)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and (call.func.id == "lent" or call.func.id.startswith("lent_"))
    ]


def owner_of(lent: ast.expr, function: ast.FunctionDef) -> str:
    """The name that a lent expression begins with, or from which that was unpacked."""
    while isinstance(lent, ast.Attribute):
        lent = lent.value
    assert isinstance(lent, ast.Name), ast.dump(lent)
    for assigned in ast.walk(function):
        if isinstance(assigned, ast.Assign) and lent.id in names_of(assigned.targets[0]):
            values = names_of(assigned.value)
            return values[names_of(assigned.targets[0]).index(lent.id)]
    return lent.id


def names_of(expression: ast.expr) -> list[str]:
    """The names that an expression begins with, of a tuple each."""
    if isinstance(expression, ast.Tuple):
        return [name for part in expression.elts for name in names_of(part)]
    while isinstance(expression, ast.Attribute):
        expression = expression.value
    return [expression.id] if isinstance(expression, ast.Name) else [""]


def test_no_compiled_function_sorts_by_numbas_argsort():
    """Its parts would share names with those of numba's sort, and code kept by two processes could be linked to the wrong ones."""
    assert [
        file.name for file in ALGEBRA.glob("compiled/*.py") if "np.argsort(" in file.read_text()
    ] == []
