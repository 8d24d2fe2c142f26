"""A wheel in an environment of its own: one importable name, and what an installation without
extras can do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest

from setup import PRIVATE

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples" / "shop" / "pipeline.py"
UV = Path(sys.executable).with_name("uv")
pytestmark = [pytest.mark.slow]


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; its error output is the failure's message."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needed(distribution: str, found: dict[str, str]) -> dict[str, str]:
    """Versions here of a distribution's requirements and of theirs, without any extra's."""
    for line in requires(distribution) or []:
        name = re.split(r"[\s\[<>=!~;(]", line)[0]
        if "extra ==" not in line and name not in found:
            try:
                found[name] = version(name)
            except PackageNotFoundError:  # of another Python or platform
                continue
            needed(name, found)
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no build folder is left here."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in (*PRIVATE, "twinstream", "requirements"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    run(UV, "build", "--wheel", "--no-build-isolation", "--python", sys.executable, cwd=folder)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment that holds the wheel and what its base needs, in the versions tested
    here.
    """
    folder = tmp_path_factory.mktemp("bare")
    run(UV, "venv", "--python", sys.executable, folder / "venv", cwd=folder)
    found = folder / "venv" / "bin" / "python"
    wanted = [f"{name}=={number}" for name, number in needed("twinstream", {}).items()]
    run(UV, "pip", "install", "--python", found, "--no-deps", wheel, *wanted, cwd=folder)
    return found


def test_a_wheel_claims_one_name_and_holds_every_file(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition("/")[0] for name in names} == {
        "twinstream",
        f"twinstream-{version('twinstream')}.dist-info",
    }
    listed = run("git", "ls-files", *PRIVATE, "twinstream", cwd=ROOT).split()
    inside = {
        name if name.startswith("twinstream/") else f"twinstream/_services/{name}"
        for name in listed
        if not name.startswith("deploy/site/")
    }
    assert inside - names == set()


def test_a_program_finds_twinstream_and_none_of_its_services(python: Path, tmp_path: Path) -> None:
    code = f"""
import importlib.util, sys
import twinstream.mesh.pipeline_file as pipeline_file
pipeline = pipeline_file.load({str(SHOP)!r})
assert not {set(PRIVATE)!r} & set(sys.modules)
print(pipeline.name, *[name for name in {PRIVATE!r} if importlib.util.find_spec(name)])
"""
    assert run(python, "-c", code, cwd=tmp_path).split() == ["shop"]


def test_a_folder_of_the_same_name_hides_nothing(python: Path, tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "__init__.py").write_text("raise SystemExit('not this one')")
    command = python.with_name("twinstream")
    assert "ingest.dead-letter.v1" in run(command, "topics", cwd=tmp_path)
    assert "Usage: twinstream" in run(command, "--help", cwd=tmp_path)


def test_an_importable_namesake_stays_importable(python: Path, tmp_path: Path) -> None:
    (tmp_path / "schemas.py").write_text("mine = True")
    code = "import twinstream, schemas; twinstream.Source; print(schemas.mine)"
    assert run(python, "-c", code, cwd=tmp_path).strip() == "True"


def test_a_mesh_without_its_extras_says_what_to_install(python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [python.with_name("twinstream"), "up", "--pipeline", SHOP, "--data", tmp_path / "data"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'twinstream[batch,serve,train]'" in " ".join(done.stderr.split())


@pytest.fixture(scope="module")
def whole(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment that holds the wheel and finds every engine, but not this working
    copy.
    """
    folder = tmp_path_factory.mktemp("whole")
    run(UV, "venv", "--python", sys.executable, folder / "venv", cwd=folder)
    found = folder / "venv" / "bin" / "python"
    run(UV, "pip", "install", "--python", found, "--no-deps", wheel, cwd=folder)
    (home,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (home / "engines.pth").write_text(sysconfig.get_path("purelib"))
    return found


@pytest.mark.parametrize("module", ["ingest_svc.http_api", "predict_svc.view"])
def test_a_service_of_a_wheel_starts_by_its_name(module: str, whole: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [whole, "-m", "twinstream.run", module],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "TWINSTREAM_PIPELINE" in done.stdout + done.stderr
