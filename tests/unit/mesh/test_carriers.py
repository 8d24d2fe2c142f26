"""Which carrier a mesh has is a setting; another engine is not even imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from twinstream.errors import SettingsError
from twinstream.mesh.settings import MeshSettings


def test_faust_carries_unless_it_is_said_otherwise() -> None:
    env = {"TWINSTREAM_PIPELINE": "p.py"}
    assert MeshSettings.from_env(env).carrier == "faust"
    assert MeshSettings.from_env(env | {"TWINSTREAM_CARRIER": "confluent"}).carrier == "confluent"
    with pytest.raises(SettingsError, match="TWINSTREAM_CARRIER"):
        MeshSettings.from_env(env | {"TWINSTREAM_CARRIER": "pigeon"})


@pytest.mark.parametrize("worker", ["preprocess_svc.speed", "predict_svc.view"])
def test_a_worker_imports_no_engine_before_it_knows_which(worker: str) -> None:
    program = f"import sys, {worker}.wiring; sys.exit('faust' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
