"""Entry of the command `twinstream`: starts it anew without the PYTHON* variables of the shell, where there are any.

PYTHONPATH may hold another numpy, PYTHONOPTIMIZE=2 removes every help text. Only the standard library is imported here.
"""

from __future__ import annotations

import os
import sys

from twinstream import installed


def main() -> None:
    """Become the command line."""
    if not sys.flags.ignore_environment and any(name.startswith("PYTHON") for name in os.environ):
        os.execv(sys.executable, command(sys.argv[1:]))  # noqa: S606
    installed.enter()
    from twinstream.cli.main import main as run

    run()


def command(arguments: list[str]) -> list[str]:
    """The command line's own process, which reads no PYTHON* variable and nothing of the current
    folder.
    """
    return [sys.executable, "-E", "-P", "-m", "twinstream.entry", *arguments]


if __name__ == "__main__":
    main()
