"""One service under a supervisor of your own: `python -m twinstream.run preprocess_svc.speed`."""

from __future__ import annotations

import os
import runpy
import sys

from twinstream import installed

USAGE = "python -m twinstream.run MODULE, for example preprocess_svc.speed"


def main() -> None:
    """Become the service; its own child processes find the services too."""
    if len(sys.argv) != 2:
        sys.exit(USAGE)
    installed.enter()
    os.environ.update(installed.python_path())
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
