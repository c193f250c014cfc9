"""The shell: each command parses, makes one library call, and prints.

Data goes to standard output, talk to standard error. Exit codes: 0 done; 1 the data or the run;
2 usage; 130 interrupted.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence, Ctrl-C in silence."""
    try:
        # Within, for Ctrl-C may come while this is still being imported.
        from linnet.cli.app import run

        run()
    except (Exception, KeyboardInterrupt) as fault:
        if not _is_interrupt(fault):
            raise
        sys.exit(130)


def _is_interrupt(fault: BaseException | None) -> bool:
    """Say whether Ctrl-C caused an exception; importing packages turn it into errors of theirs."""
    while fault is not None and not isinstance(fault, KeyboardInterrupt):
        fault = fault.__cause__ or fault.__context__
    return fault is not None
