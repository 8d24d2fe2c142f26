"""Scores are whole or not there, and nothing but earlier scores is ever replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from preprocess_svc.batch.scoring.files import Files
from preprocess_svc.batch.scoring.output import OnDisk, output_at
from schemas.events import Release
from tests.objects import Objects
from twinstream.errors import SettingsError
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.scores import ScoreManifest, ScoreOrigin

ORIGIN = ScoreOrigin(
    model="m",
    release=Release(definition="d", epoch=1, model="x"),
    cuts={},
    file_count=0,
    as_of_us=0,
)
MANIFEST = ScoreManifest(
    origin=ORIGIN, spine="s", spine_rows=1, rows=1, bad_rows=0, digest="", files=[]
)


def made(out: Path, work: Path, *, overwrite: bool, text: str) -> None:
    work.mkdir()
    output = OnDisk(out, overwrite=overwrite)
    output.refuse()
    folder = Path(output.begin(work))
    (folder / "part").write_text(text)
    assert not (out / "part").exists() or (out / "part").read_text() != text
    output.finish(work, MANIFEST)


def test_a_folder_appears_whole_and_is_replaced_only_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "out"
    made(out, tmp_path / "w1", overwrite=False, text="first")
    assert sorted(path.name for path in out.iterdir()) == ["_score.json", "part"]
    with pytest.raises(SettingsError, match="is there already"):
        OnDisk(out, overwrite=False).refuse()
    made(out, tmp_path / "w2", overwrite=True, text="second")
    assert (out / "part").read_text() == "second"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_this_command_did_not_write_is_never_replaced(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "link":
        out.symlink_to(tmp_path / "nowhere")
    elif kind == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "mine.parquet").write_text("mine")
    with pytest.raises(SettingsError, match="is not an output of twinstream score"):
        OnDisk(out, overwrite=True).refuse()


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    made(out, tmp_path / "w", overwrite=False, text="x")
    assert (out / "_score.json").exists()


def test_of_two_runs_to_one_place_the_first_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    slow, work = OnDisk(out, overwrite=False), tmp_path / "slow"
    work.mkdir()
    slow.refuse()
    slow.begin(work)
    made(out, tmp_path / "quick", overwrite=False, text="quick")
    with pytest.raises(SettingsError, match="cannot be made"):
        slow.finish(work, MANIFEST)
    assert (out / "part").read_text() == "quick"


def test_on_s3_a_folder_is_whole_once_its_manifest_is_there() -> None:
    objects = Objects()
    files = Files(MeshSettings(pipeline=""), objects)  # type: ignore[arg-type]

    def begun(*, overwrite: bool) -> str:
        output = output_at(files, "s3://lake/scores", overwrite=overwrite)
        output.refuse()
        folder = output.begin(Path())
        files.put(f"{folder}/part-00000.parquet", b"x")
        return folder

    begun(overwrite=False)
    assert "scores/_score.json" not in objects.kept
    with pytest.raises(SettingsError, match="half of the scores of a run that died"):
        begun(overwrite=False)
    files.put("s3://lake/scores/part-00001.parquet", b"of the dead run")
    begun(overwrite=True)
    output_at(files, "s3://lake/scores", overwrite=True).finish(Path(), MANIFEST)
    assert sorted(objects.kept) == ["scores/_score.json", "scores/part-00000.parquet"]
    files.put("s3://lake/scores-of-another/a", b"stays")
    begun(overwrite=True)
    assert "scores-of-another/a" in objects.kept
    files.put("s3://lake/mine/a", b"mine")
    with pytest.raises(SettingsError, match="is not an output"):
        output_at(files, "s3://lake/mine", overwrite=True).refuse()
