"""What an environment gets: one importable name, private services, extras that are asked for in
words.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import twinstream
from twinstream import installed, language
from twinstream.cli import extras
from twinstream.errors import SettingsError


def test_a_working_copy_adds_nothing_to_pythons_path() -> None:
    assert installed.python_path() == {}


def test_processes_of_an_installed_mesh_find_the_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["elsewhere"])
    assert installed.python_path(tmp_path) == {"PYTHONPATH": str(tmp_path)}
    installed.enter(tmp_path)
    installed.enter(tmp_path)
    assert sys.path == [str(tmp_path), "elsewhere"]


def test_every_name_of_the_language_is_given_out() -> None:
    assert set(language.__all__) <= set(twinstream.__all__) <= set(dir(twinstream))
    assert all(getattr(twinstream, name) is getattr(language, name) for name in language.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Sauce'"):
        _ = twinstream.Sauce
    with pytest.raises(ImportError):
        exec("from twinstream import sauce")


def test_importing_the_package_loads_no_library() -> None:
    heavy = "{'numpy', 'pyarrow', 'msgspec', 'httpx', 'numba', 'torch', 'schemas'}"
    code = "import sys, twinstream, twinstream.entry, twinstream.run"
    code += f"; print(*{heavy} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_it_is_said_which_extras_are_lacking() -> None:
    nowhere = dict.fromkeys(extras.PROBES, "no_such_module_anywhere")
    with pytest.raises(SettingsError, match=r"pip install 'twinstream\[batch,serve\]'"):
        extras.require(["monitor", "speed@2"], nowhere)
    with pytest.raises(SettingsError, match=r"\[batch,train\]"):
        extras.require(["train"], nowhere)
    extras.require(["ingest", "batch", "train"])


def test_a_package_that_is_loaded_already_is_installed() -> None:
    """faust takes its own place among the loaded modules, without a spec."""
    importlib.import_module("faust")
    extras.require(["monitor"])


def test_a_service_runs_under_a_supervisor_of_your_own() -> None:
    command = [sys.executable, "-m", "twinstream.run"]
    without = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (without.returncode, "preprocess_svc.speed" in without.stderr) == (1, True)
    named = subprocess.run(
        [*command, "schemas.evolution"], capture_output=True, text=True, check=False
    )
    assert named.returncode == 0, named.stderr
