"""A peer's own virtual environment in the user's cache folder, made by pip from hashed
requirements, so that our lock files stay as they are.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.local.cache import cache_folder, exclusive

BOUND_S = 600


class NotInstalledError(Exception):
    """The peer cannot be installed here."""


def python_of(requirements: Path) -> Path:
    """The interpreter of the environment with exactly these requirements, made when it is missing;
    raises NotInstalledError.
    """
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"peer-{requirements.stem}-{digest}"
    complete = folder / "complete"
    with exclusive(folder):
        if not complete.exists():
            print(f"installing {requirements.name} into {folder}", flush=True)
            _make(folder, requirements)
            complete.touch()
    return folder / "bin" / "python"


def _make(folder: Path, requirements: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(folder))
    pip = (
        str(folder / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    )
    _run(*pip, "--only-binary", ":all:", "--require-hashes", "-r", str(requirements))


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=BOUND_S)
    except subprocess.CalledProcessError as error:
        raise NotInstalledError(
            f"{' '.join(command)} failed: {error.stderr.strip()[-400:]}"
        ) from error
    except (subprocess.TimeoutExpired, OSError) as error:
        raise NotInstalledError(f"{' '.join(command)} failed: {error}") from error
