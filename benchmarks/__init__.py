"""Measures linnet beside others, in turn: `python -m benchmarks --help`, or README.md here."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))  # where the tutorial's own code is kept, tutorial_code.py
