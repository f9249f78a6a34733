"""Become another program that dies with its parent: `python -I -S launcher.py KILL program argument ...`.

SIGKILL gives a parent no time to stop its children; the kernel's parent-death signal does it instead. This file starts
in some 20 ms because it imports nothing of ours and no Django; it never returns.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
# The process that becomes its children's parent writes its own number here.
PARENT = "SSMD_PARENT_PID"


def main(arguments: list[str]) -> None:
    """Ask for the signal, make sure that the parent still lives, and exec."""
    death_signal = signal.Signals[f"SIG{arguments[0]}"]
    parent = int(os.environ.get(PARENT, os.getppid()))
    die_with_parent(death_signal)
    if os.getppid() != parent:  # it died before the kernel knew of our wish
        sys.exit(1)
    os.execvpe(arguments[1], arguments[1:], {**os.environ, PARENT: str(os.getpid())})  # noqa: S606


def die_with_parent(death_signal: signal.Signals) -> None:
    """Have the kernel send `death_signal` when the thread that started this process ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


if __name__ == "__main__":
    main(sys.argv[1:])
