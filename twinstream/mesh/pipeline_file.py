"""Loads a user's definition file; a mistake in it becomes a DefinitionError with its line,
never a stack trace.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from twinstream.define.pipeline import Pipeline
from twinstream.errors import DefinitionError, MeshError


def load(path: str | Path) -> Pipeline:
    """The pipeline that the file defines: its `pipeline`, or the only Pipeline in it.
    Raises DefinitionError.

    The file may import modules that lie beside it.
    """
    file = Path(path).expanduser().resolve()
    if not file.is_file():
        raise DefinitionError(
            f"there is no definition file {str(path)!r}", "give the path of your pipeline.py"
        )
    return _only_pipeline(_run(file), file)


def _only_pipeline(module: ModuleType, file: Path) -> Pipeline:
    found = {name: value for name, value in vars(module).items() if isinstance(value, Pipeline)}
    if "pipeline" in found:
        return found["pipeline"]
    if len({id(value) for value in found.values()}) != 1:
        what = f"defines several pipelines: {', '.join(found)}" if found else "defines no pipeline"
        raise DefinitionError(what, "end the file with pipeline = Pipeline(...)", str(file), 1)
    return next(iter(found.values()))


def _run(file: Path) -> ModuleType:
    """The file's module, run once more on every call; it stays importable, for networks that it
    defines.
    """
    name = f"definition_{file.stem}".replace("-", "_")
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise DefinitionError(
            f"{file.name} is no Python file", "give the path of your pipeline.py", str(file), 1
        )
    module = importlib.util.module_from_spec(spec)
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    sys.modules[name] = module
    with _told_of(file):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _told_of(file: Path) -> Iterator[None]:
    """What a file raises as a DefinitionError, with the line in it."""
    try:
        yield
    except MeshError:
        raise
    except SyntaxError as error:
        raise DefinitionError(
            f"syntax error: {error.msg}", "", error.filename or str(file), error.lineno or 1
        ) from error
    except Exception as error:
        raise DefinitionError(
            f"{type(error).__name__}: {error}", "", str(file), _line_in(file, error)
        ) from error


def _line_in(file: Path, error: Exception) -> int:
    """The last line of the user's file on the way to the error."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(file)
    ]
    return lines[-1] or 1 if lines else 1
