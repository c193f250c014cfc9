"""What holds for all tests."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

# The benchmarks are no part of what is installed; their harness is tested all the same.
sys.path.append(str(Path(__file__).resolve().parent.parent))

# A shell starts what runs in its background with Ctrl-C ignored, and processes hand that on: the
# tests that interrupt a training would then wait for its end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
