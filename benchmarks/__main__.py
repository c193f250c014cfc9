"""Measure linnet beside others, in turn, and write results.json, results.md and growth.png."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks import growth, memory, steps, tutorial
from benchmarks.machine import describe
from benchmarks.table import page

PARTS = {"tutorial": tutorial.run, "steps": steps.run, "memory": memory.run, "growth": growth.run}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default"
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant (5)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="counts (1 2)")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent, help="folder of the results"
    )
    options = parser.parse_args()
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}: write {', '.join(PARTS)}")
    if options.rounds < 1 or min(options.threads) < 1:
        parser.error("--rounds and --threads are whole numbers from 1")
    for name in options.parts or PARTS:
        part = PARTS[name](options.rounds, tuple(options.threads))
        merge(options.output, name, {"machine": describe(), "rounds": options.rounds, **part})


def merge(folder: Path, name: str, part: dict) -> None:
    """Put one part in the place of its last measurement, and write all of them anew."""
    kept = folder / "results.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    results[name] = part
    results = {name: results[name] for name in PARTS if name in results}
    kept.write_text(json.dumps(results, indent=1) + "\n")
    (folder / "results.md").write_text(page(results))
    if name == "growth":
        growth.draw(part, folder / "growth.png")


if __name__ == "__main__":
    main()
