"""The data folder: its owner alone may look into it, and a path that an engine cannot take is
refused at once.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twinstream.errors import SettingsError

REFUSED = {
    ",": "Kafka and Spark take it for the end of a path",
    ":": "Java takes it for the end of a path",
    '"': "it cannot be quoted in Java's options",
    "\\": "it cannot be quoted in Java's options",
    "$": "Java's settings would put something else there",
}
LONGEST = 1000
"""In bytes; engines put up to 1,500 more below it, and a path may have 4,095."""


def prepare(path: Path) -> Path:
    """Make the folder where it is missing, readable by its owner alone whatever the umask;
    return its real path.

    Raises SettingsError that says what is wrong with it.
    """
    data = path.resolve()
    if reason := refusal(str(data)):
        raise SettingsError(
            f"the data folder {str(data)!r} cannot be used: {reason}; give another with --data"
        )
    try:
        _make(data)
    except OSError as error:
        raise SettingsError(
            f"the data folder {data} cannot be made or written to ({error.strerror}): "
            "give another with --data, or free it"
        ) from error
    return data


def _make(data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    if data.stat().st_uid == os.geteuid():
        data.chmod(stat.S_IRWXU)
    for part in ("run", "logs"):
        (data / part).mkdir(exist_ok=True)
        (data / part).chmod(stat.S_IRWXU)


def refusal(path: str) -> str:
    """Why no mesh can live at this path; "" when one can."""
    for character, reason in REFUSED.items():
        if character in path:
            return f"there is a {character} in it, and {reason}"
    if not path.isprintable():
        return "there is a character in it that cannot be printed"
    if len(os.fsencode(path)) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    return ""
