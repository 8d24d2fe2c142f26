"""Becomes the command of its arguments, tied to the process that started it:
that one's end, however it comes, ends this one.
"""

# Run as `python -I -S tether.py PARENT_PID COMMAND...`; standard library only, so that it takes 20
# ms.

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel for SIGKILL when the parent ends, then become the command."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the supervisor has ended")
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606


if __name__ == "__main__":
    main()
