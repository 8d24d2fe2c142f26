"""`twinstream score`: what its process answers becomes words and an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.local import batch_tool
from twinstream.cli import scoring
from twinstream.cli.main import run
from twinstream.cli.running import Running
from twinstream.errors import MeshError, NotRunningError, SettingsError
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.scores import ScoreAnswer, ScoreRequest

MESH = Running(settings=MeshSettings(pipeline="x"), addresses={}, env={})
REQUEST = ScoreRequest(model="m", spine="s", out="o")


@pytest.mark.parametrize(
    ("code", "kind"), [(1, MeshError), (2, SettingsError), (3, NotRunningError)]
)
def test_an_error_keeps_its_kind(code: int, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = msgspec.json.encode(ScoreAnswer(error="why", code=code))

    def answered(module: str, given: bytes, *rest: Any, **more: Any) -> bytes:
        assert msgspec.json.decode(given, type=ScoreRequest) == REQUEST
        return answer

    monkeypatch.setattr(batch_tool, "run", answered)
    with pytest.raises(MeshError, match="why") as raised:
        scoring.process_answer(REQUEST, MESH)
    assert type(raised.value) is kind


def test_without_a_mesh_nothing_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["score", "m", "--spine", "s", "--out", str(tmp_path / "o")]
    assert run([*given, "--data", str(tmp_path)]) == 3
    assert "no mesh is running" in capsys.readouterr().err
