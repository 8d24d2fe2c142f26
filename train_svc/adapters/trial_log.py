"""What a search has tried, on this host's disk: after a restart it goes on where it was."""

from __future__ import annotations

from pathlib import Path

import msgspec

from train_svc.adapters.optuna_study import TriedCandidate

SUFFIX = ".trials"
_decode = msgspec.json.Decoder(TriedCandidate).decode


class TrialLog:
    """A line for each trial of one search; those of other searches are deleted."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}{SUFFIX}"
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.glob(f"*{SUFFIX}"):
            if other != self._path:
                other.unlink(missing_ok=True)

    def read(self) -> list[TriedCandidate]:
        """What was tried before; of a line that a kill cut off, nothing."""
        try:
            lines = self._path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                found.append(_decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                break
        return found

    def add(self, tried: TriedCandidate) -> None:
        """One more."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(tried) + b"\n")

    def clear(self) -> None:
        """The search is over."""
        self._path.unlink(missing_ok=True)
