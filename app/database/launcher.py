"""Becomes the PostgreSQL server: drops root, ties its life to its parent, runs the program.

``cluster.py`` runs this file by its path in a fresh interpreter. The same three calls in
``preexec_fn`` would run Python between fork and exec of a process that may have threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: str, user: str, group: str, *command: str) -> None:
    """Run ``command`` as ``user`` until it ends or ``parent`` does; ``-`` keeps the user."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if user != "-":
        os.setgroups([])
        os.setgid(int(group))
        os.setuid(int(user))
    if libc is not None:
        # After setuid, which clears it. SIGINT is PostgreSQL's fast and clean shutdown.
        libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGINT), *[ctypes.c_ulong(0)] * 3)
        if os.getppid() != int(parent):
            sys.exit("the parent ended before the server began")
    os.execv(command[0], command)  # noqa: S606 - that is the purpose of this file


if __name__ == "__main__":
    main(*sys.argv[1:])
