"""A command's own Spark: a process of the batch layer beside a mesh, for one piece of work, with
the environment that the mesh's processes have.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

from deploy.local import environment, jars, java
from deploy.local.child import TETHER
from twinstream.errors import MeshError
from twinstream.mesh.settings import MeshSettings

GRACE_S = 15.0
"""So long has it after Ctrl-C to clear away what it made."""
SHOWN = 5


def run(
    module: str,
    given: bytes,
    settings: MeshSettings,
    env: Mapping[str, str],
    *,
    loud: bool = False,
) -> bytes:
    """What the module writes on standard output, given these bytes on standard input. `loud`: what
    it says beside is seen.

    Raises MeshError when it ends without a word. It never outlives this process.
    """
    with tempfile.TemporaryFile() as said:
        beside = None if loud else said
        with _started(module, environment_of(settings, env), beside) as process:
            answer = _answer(process, given)
        if not answer:
            raise MeshError(
                f"{module} ended with {process.returncode} and without an answer: {_last(said)}"
            )
    return answer


def _started(
    module: str,
    env: Mapping[str, str],
    beside: IO[bytes] | None,
) -> subprocess.Popen[bytes]:
    tethered = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid())]
    return subprocess.Popen(
        [*tethered, sys.executable, "-m", module],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=beside,
    )


def _last(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return " / ".join(lines[-SHOWN:]) or "it said nothing"


def _answer(process: subprocess.Popen[bytes], given: bytes) -> bytes:
    try:
        return process.communicate(given)[0]
    except KeyboardInterrupt:
        with suppress(subprocess.TimeoutExpired):  # Ctrl-C has reached it too
            process.wait(GRACE_S)
        process.kill()
        raise


def environment_of(settings: MeshSettings, env: Mapping[str, str]) -> dict[str, str]:
    """Of a process of this mesh; for one that runs elsewhere Java and the jars of this machine."""
    found = {**environment.of_machine(os.environ), **env, **settings.to_env()}
    if not found.get("JAVA_HOME"):
        found["JAVA_HOME"] = str(java.find().home)
    if not found.get("TWINSTREAM_SPARK_JARS") and not found.get("TWINSTREAM_BATCH_JARS"):
        found["TWINSTREAM_SPARK_JARS"] = str(jars.ensure("spark"))
    return found
