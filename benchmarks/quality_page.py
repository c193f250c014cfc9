"""quality.md: who has the lowest error, how long it took, and how likely the truth was."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable

from benchmarks.datasets import Dataset

# Gal and Ghahramani's repository, 2018 update: mean over the standard splits, tuned by grid search.
MC_DROPOUT = {"concrete": -2.93, "energy": -1.21, "kin8nm": 1.14}
SMALL = 500  # rows: with fewer, splits differ more than peers do


def page(results: dict, datasets: dict[str, Dataset]) -> str:
    """Return the whole page.

    Parameters
    ----------
    results : dict
        "rows", one for each table, split and peer, and "runs", how they were measured.
    datasets : dict of str to Dataset
    """
    rows = defaultdict(lambda: defaultdict(dict))  # table, peer, split
    for row in results["rows"]:
        rows[row["table"]][row["peer"]][row["split"]] = row
    tables = [name for name in datasets if name in rows]
    peers = list(dict.fromkeys(row["peer"] for row in results["rows"]))
    lines = ["# How good the best fit is", "", __doc__.split(": ")[1].capitalize(), ""]
    lines += _errors(tables, peers, rows, datasets)
    lines += _verdicts(tables, peers, rows)
    lines += _times(tables, peers, rows)
    lines += _likelihoods(tables, rows)
    lines += _settings(tables, rows)
    lines += _runs(results["runs"])
    return "\n".join(lines) + "\n"


def _errors(tables: list[str], peers: list[str], rows: dict, datasets: dict) -> list[str]:
    lines = [
        "## Test error",
        "",
        "Regression: root mean squared error in the target's units. Classes: share of wrong ones.",
        "Mean over splits ± standard error of the mean (splits share rows, so it is too small",
        "for tables with a fixed set of rows).",
        "",
        *_head(["table", "rows", "inputs", "splits", *peers]),
    ]
    for name in tables:
        known = next(iter(next(iter(rows[name].values())).values()))
        n_splits = max(len(splits) for splits in rows[name].values())
        cells = [_mean(rows[name].get(peer, {}), "error") for peer in peers]
        lines.append(_line([name, f"{known['rows']:,}", known["inputs"], n_splits, *cells]))
    sources = dict.fromkeys(datasets[name].source for name in tables)
    return [*lines, "", *(
        f"- {', '.join(n for n in tables if datasets[n].source == source)}: {source}."
        for source in sources
    ), ""]  # fmt: skip


def _verdicts(tables: list[str], peers: list[str], rows: dict) -> list[str]:
    lines = [
        f"On the tables of more than {SMALL} rows, splits that both were measured on:",
        "",
        *_head(
            ["beside", "linnet's error is lower on", "error, ratio", "time, ratio", "not lower on"]
        ),
    ]
    for peer in peers:
        shared = [n for n in tables if _pairs(rows[n], peer) and _rows(rows[n]) > SMALL]
        if peer == "linnet" or not shared:
            continue
        errors = {n: _ratio(_pairs(rows[n], peer), "error") for n in shared}
        times = [_ratio(_pairs(rows[n], peer), "processor_seconds") for n in shared]
        lost = [n for n in shared if errors[n] >= 1]
        lines.append(
            _line(
                [
                    peer,
                    f"{len(shared) - len(lost)} of {len(shared)}",
                    f"{_geometric(errors.values()):.3f}",
                    f"{_geometric(times):.2f} ({min(times):.2f} to {max(times):.2f})",
                    ", ".join(f"{n} ({errors[n]:.3f})" for n in lost) or "none",
                ]
            )
        )
    return [
        *lines,
        "",
        "Error and time (processor time of `fit`) are linnet's over the peer's: of the means",
        "over splits, and over tables the geometric mean of these.",
        "",
    ]


def _times(tables: list[str], peers: list[str], rows: dict) -> list[str]:
    lines = ["## Processor seconds of a fit", "", *_head(["table", *peers])]
    for name in tables:
        cells = [
            f"{statistics.median(r['processor_seconds'] for r in rows[name][peer].values()):.2f}"
            if rows[name].get(peer)
            else ""
            for peer in peers
        ]
        lines.append(_line([name, *cells]))
    return [*lines, "", "Medians over splits; the encoding of the rows is part of them.", ""]


def _likelihoods(tables: list[str], rows: dict) -> list[str]:
    lines = [
        "## Log-likelihood of the test rows",
        "",
        "Regression: of the normal distribution with the mean and the standard deviation that",
        "`predict(X, return_std=True)` gives. Classes: of `predict_proba`. MC dropout: published,",
        "tuned by grid search.",
        "",
        *_head(["table", "linnet", "MC dropout"]),
    ]
    for name in tables:
        ours = rows[name].get("linnet", {})
        if ours:
            lines.append(_line([name, _mean(ours, "log_likelihood"), MC_DROPOUT.get(name, "")]))
    return [*lines, ""]


def _settings(tables: list[str], rows: dict) -> list[str]:
    lines = ["## What linnet chose", ""]
    for name in tables:
        for row in list(rows[name].get("linnet", {}).values())[:1]:
            words = ", ".join(f"{key} {value}" for key, value in row["settings"].items())
            lines.append(f"- {name}: {words}")
    return [*lines, ""]


def _runs(runs: list[dict]) -> list[str]:
    lines = ["## How it was measured", ""]
    for run in runs:
        versions = ", ".join(f"{name} ({version})" for name, version in run["versions"].items())
        lines.append(
            f"- {run['processor']}, {run['cores']} cores, {run['system']}, Python {run['python']}, "
            f"{run['date']}: `{run['command']}`; {versions}"
        )
        lines += [f"  - skipped: {reason}" for reason in run["skipped"]]
    return lines


def _pairs(table: dict, peer: str) -> list[tuple[dict, dict]]:
    ours, theirs = table.get("linnet", {}), table.get(peer, {})
    return [(ours[k], theirs[k]) for k in ours if k in theirs]


def _rows(table: dict) -> int:
    return next(iter(next(iter(table.values())).values()))["rows"]


def _ratio(pairs: list[tuple[dict, dict]], key: str) -> float:
    ours, theirs = (statistics.fmean(row[key] for row in side) for side in zip(*pairs, strict=True))
    return ours / theirs if theirs else math.inf if ours else 1.0


def _geometric(ratios: Iterable[float]) -> float:
    return math.exp(statistics.fmean(math.log(max(ratio, 1e-9)) for ratio in ratios))


def _mean(splits: dict, key: str) -> str:
    values = [row[key] for row in splits.values()]
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.4g}"
    return f"{statistics.fmean(values):.4g} ± {statistics.stdev(values) / len(values) ** 0.5:.2g}"


def _head(names: list[str]) -> list[str]:
    return [_line(names), _line(["---", *["---:"] * (len(names) - 1)])]


def _line(cells: list) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
