"""The results as a page of Markdown."""

from __future__ import annotations


def page(results: dict[str, dict]) -> str:
    """Return the whole page, of those parts that were measured."""
    sections = {"tutorial": _tutorial, "steps": _steps, "memory": _memory, "growth": _growth}
    texts = [
        "# What was measured",
        "Written by `python -m benchmarks`; [README.md](README.md) tells how to read it.",
    ]
    for name, section in sections.items():
        if name in results:
            texts.append(f"{section(results[name])}\n\n{_made(results[name])}")
    return "\n\n".join(texts) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])


def _made(part: dict) -> str:
    """Say where, when, how and with what a part was measured, and who is missing."""
    machine = part["machine"]
    versions = ", ".join(f"{name} {part['versions'][name]}" for name in sorted(part["versions"]))
    lines = [
        f"{machine['processor']} ({machine['cores']} cores, {machine['system']}), Python "
        f"{machine['python']}, {versions}; {machine['date']}, `{machine['command']}`, "
        f"{part['rounds']} round{'s' if part['rounds'] > 1 else ''}."
    ]
    for who in part["skipped"]:
        at = f" at {who['problem']}" if "problem" in who else ""
        lines.append(f"- Skipped: {who['name']}, {_threads(who['threads'])}{at}: {who['reason']}.")
    return "\n".join([lines[0], *([""] if lines[1:] else []), *lines[1:]])


def _threads(n: int) -> str:
    return f"{n} thread{'s' if n > 1 else ''}"


def _number(value: float | None, form: str = ".3g", unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"


def _tutorial(part: dict) -> str:
    texts = [
        "## The tutorial's fit",
        "A 2-80-1 tanh network, 2,500 rows, batches of 200, 400 epochs of Adam at 0.01: the whole "
        "training. The final loss is the mean squared error on all rows after the training, "
        "median over the seeds.",
    ]
    for measured in part["problems"]:
        rows = [
            [
                row["name"],
                str(row["threads"]),
                _number(row["median_seconds"]),
                _number(row["times_as_long"], ".1f"),
                _number(row["median_loss"], ".1e"),
            ]
            for row in measured["rows"]
        ]
        head = ["training", "threads", "seconds", "times as long as linnet", "final loss"]
        texts.append(_table(head, rows))
    return "\n\n".join(texts)


def _steps(part: dict) -> str:
    head = [
        "network",
        "training",
        "threads",
        "µs a step",
        "times as long as linnet",
        "speed over one thread",
        "GFLOP/s",
        "of the peak",
    ]
    rows = [
        [
            measured["name"],
            row["name"],
            str(row["threads"]),
            _number(row["step_us"], ",.1f"),
            _number(row["times_as_long"], ".2f"),
            _number(row["speed_over_one_thread"], ".2f"),
            _number(row["gflops"], ".1f"),
            _number(row["share_of_peak"], ".0%"),
        ]
        for measured in part["problems"]
        for row in measured["rows"]
    ]
    peaks = {
        row["threads"]: row["peak_gflops"]
        for measured in part["problems"]
        for row in measured["rows"]
    }
    told = ", ".join(f"{_number(peaks[n], '.1f')} with {_threads(n)}" for n in sorted(peaks))
    return (
        "## A step\n\nReLU, Adam, mean squared error, whole epochs with shuffling in memory. "
        "GFLOP/s count the matrix products alone, without the gradient of the inputs. The "
        f"peak of the processor's multiply-adds was {told} GFLOP/s.\n\n{_table(head, rows)}"
    )


def _memory(part: dict) -> str:
    head = ["network", "training", "threads", "MB at the peak"]
    rows = [
        [
            measured["name"],
            row["name"],
            str(row["threads"]),
            _number(None if row["peak_bytes"] is None else row["peak_bytes"] / 1e6, ".1f"),
        ]
        for measured in part["problems"]
        for row in measured["rows"]
    ]
    return (
        "## Memory\n\nThe peak of a training on 100,000 rows, beyond the imported libraries and "
        f"the data in float32.\n\n{_table(head, rows)}"
    )


def _growth(part: dict) -> str:
    texts = ["## How the time grows", "![Time for a row and a multiply-add](growth.png)"]
    for curve in part["curves"]:
        rows = [
            [
                f"{point['x']:,}",
                _number(point["row_ns"], ",.1f"),
                _number(point["multiply_add_ps"], ",.1f"),
                "cliff" if point["x"] in curve["cliffs"] else "",
            ]
            for point in curve["points"]
        ]
        head = [f"{curve['of']}, {_threads(curve['threads'])}", "ns a row", "ps a multiply-add", ""]
        found = ", ".join(f"{x:,}" for x in curve["cliffs"]) or "none"
        texts += [_table(head, rows), f"Cliffs: {found}."]
    return "\n\n".join(texts)
