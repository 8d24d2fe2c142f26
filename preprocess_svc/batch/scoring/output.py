"""Where scores go: whole, or not there. Nothing but what this command wrote is ever replaced."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

import msgspec

from preprocess_svc.batch.scoring.files import Files, is_s3
from twinstream.errors import SettingsError
from twinstream.mesh.object_store import split_uri
from twinstream.protocol.scores import MANIFEST, STARTED, ScoreManifest

MARKS = (MANIFEST, STARTED)


class OnDisk:
    """A folder that is made aside, and renamed as a whole."""

    def __init__(self, out: Path, *, overwrite: bool) -> None:
        self._out = out
        self._overwrite = overwrite

    def refuse(self) -> None:
        """Raises SettingsError when something is there that may not be replaced."""
        if not os.path.lexists(self._out):
            return
        folder = self._out.is_dir() and not self._out.is_symlink()
        names = [path.name for path in self._out.iterdir()] if folder else []
        if names or not folder:
            _refuse(str(self._out), names, overwrite=self._overwrite)

    def begin(self, work: Path) -> str:
        """The folder that the parts are written to: `work` lies on the same file system, so that a
        rename is all that is left to do.
        """
        made = self._made(work)
        made.mkdir()
        return str(made)

    def finish(self, work: Path, manifest: ScoreManifest) -> None:
        """Make it whole: from here on it is there. Raises SettingsError when another run was
        first.
        """
        made, before = self._made(work), work / "before"
        (made / MANIFEST).write_bytes(formatted(manifest))
        replaced = self._overwrite and self._out.exists()
        if replaced:
            self._out.rename(before)
        try:
            made.rename(self._out)
        except OSError as error:
            if replaced:
                before.rename(self._out)
            raise SettingsError(f"{self._out} cannot be made: {error}") from error
        shutil.rmtree(before, ignore_errors=True)

    @staticmethod
    def _made(work: Path) -> Path:
        return work / "scores"


class OnS3:
    """A prefix, which S3 cannot rename: `_score.json` comes last, and says that it is whole."""

    def __init__(
        self,
        files: Files,
        out: str,
        *,
        overwrite: bool,
    ) -> None:
        split_uri(out)
        self._files = files
        self._out = out
        self._overwrite = overwrite

    def refuse(self) -> None:
        """As `OnDisk.refuse`."""
        names = [name.removeprefix(f"{self._out}/") for name in self._files.below(self._out)]
        if names:
            _refuse(self._out, names, overwrite=self._overwrite)

    def begin(self, work: Path) -> str:  # noqa: ARG002
        """The prefix itself; what was there stops being whole before anything of it goes."""
        mine = f"{self._out}/{STARTED}"
        self._delete(f"{self._out}/{MANIFEST}")
        self._files.put(mine, uuid.uuid4().hex.encode())
        for name in self._files.below(self._out):
            if name != mine:
                self._delete(name)
        return self._out

    def finish(self, work: Path, manifest: ScoreManifest) -> None:  # noqa: ARG002
        """As `OnDisk.finish`."""
        self._files.put(f"{self._out}/{MANIFEST}", formatted(manifest))
        self._delete(f"{self._out}/{STARTED}")

    def _delete(self, name: str) -> None:
        self._files.store.delete(*split_uri(name))


Output = OnDisk | OnS3


def output_at(
    files: Files,
    out: str,
    *,
    overwrite: bool,
) -> Output:
    """A folder of scores, on S3 or on a local disk."""
    if is_s3(out):
        return OnS3(files, out, overwrite=overwrite)
    return OnDisk(Path(out), overwrite=overwrite)


def _refuse(
    out: str,
    names: list[str],
    *,
    overwrite: bool,
) -> None:
    if not overwrite:
        half = STARTED in names
        what = "holds half of the scores of a run that died" if half else "is there already"
        raise SettingsError(f"{out} {what}: give another --out, or --overwrite to replace it")
    if not set(names) & set(MARKS):
        raise SettingsError(
            f"{out} is there and is not an output of twinstream score (it has no {MANIFEST}): "
            "give another --out, or remove it yourself"
        )


def formatted(manifest: ScoreManifest) -> bytes:
    """As `_score.json` holds it."""
    return msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
