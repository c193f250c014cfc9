"""The benchmark's harness: turns, ratios, skipping, files. Nothing here asserts a time."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import growth, memory, soak, solvers, steps, tutorial
from benchmarks.__main__ import merge
from benchmarks.contestants import LINNET, PYTORCH, SCIKIT_LEARN, Contestant
from benchmarks.problems import STEPS, TUTORIAL, Problem
from benchmarks.rounds import cores, median_of_ratios, start, summarise
from linnet import native

pytestmark = pytest.mark.skipif(
    not native.native_available(), reason="the native module was not built here"
)

TINY = replace(TUTORIAL, rows=50, batch_size=20, epochs=3)
NOWHERE = Contestant("nobody", "no_such_file")
NO_PYTHON = Contestant("homeless", "linnet_train", environment="build/no-such-venv")
MACHINE = {
    "processor": "a processor",
    "cores": 2,
    "system": "Linux x86_64",
    "python": "3.11.7",
    "date": "2026-01-31",
    "command": "python -m benchmarks",
}


@pytest.fixture(scope="module")
def part():
    """The tutorial's part with few rows, two contestants and two that cannot be there."""
    return tutorial.run(2, (1,), (LINNET, SCIKIT_LEARN, NOWHERE, NO_PYTHON), TINY)


def test_ratios_are_taken_within_each_round_and_their_median_is_kept():
    # The medians are 4 and 2, whose ratio is 2; that of the rounds are 4, 1.5 and 1.
    assert median_of_ratios([4.0, 3.0, 9.0], [1.0, 2.0, 9.0]) == 1.5
    with pytest.raises(ValueError):
        median_of_ratios([1.0], [1.0, 2.0])


def test_each_is_compared_with_the_first_at_its_number_of_threads_and_with_itself_at_one():
    def row(name, threads, *seconds):
        return {"name": name, "threads": threads, "seconds": list(seconds), "losses": [3, 1, 2]}

    rows = [
        row("linnet", 1, 1.0, 2.0, 4.0),
        row("other", 1, 10.0, 10.0, 10.0),
        row("linnet", 2, 0.5, 2.0, 1.0),
        row("other", 2, 20.0, 4.0, 2.0),
    ]
    summarise(rows)
    assert [r["times_as_long"] for r in rows] == [1, 5, 1, 2]
    assert [r["speed_over_one_thread"] for r in rows] == [1, 1, 2, 2.5]
    assert [r["median_seconds"] for r in rows] == [2, 10, 1, 4]
    assert {r["median_loss"] for r in rows} == {2}


def test_the_tutorials_fit_is_run_in_turn_and_whoever_is_absent_is_named(part):
    (measured,) = part["problems"]
    assert Problem.from_json(measured["problem"]) == TINY
    assert [row["name"] for row in measured["rows"]] == [LINNET.name, SCIKIT_LEARN.name]
    for row in measured["rows"]:
        assert row["threads"] == 1 and len(row["seconds"]) == len(row["losses"]) == 2
        assert min(row["seconds"]) > 0 and 0 < row["median_loss"] < 1
    assert measured["rows"][0]["times_as_long"] == 1
    assert {"linnet", "torch", "numpy", "scikit-learn"} == set(part["versions"])
    assert part["skipped"] == [
        {
            "name": "nobody",
            "threads": 1,
            "reason": "No module named 'benchmarks.contestants.no_such_file'",
        },
        {
            "name": "homeless",
            "threads": 1,
            "reason": "build/no-such-venv is not installed: `make bench` does that",
        },
    ]


def test_more_threads_than_cores_are_skipped_and_so_is_who_fails_in_its_turn():
    many = len(cores()) + 1
    with ExitStack() as stack:
        workers, skipped = start((LINNET,), (many,), stack)
    assert not workers
    assert skipped[0]["reason"] == f"{many} threads need {many} cores, here are {len(cores())}"
    unknown = replace(TINY, learning_rate=-1.0)
    (who,) = tutorial.run(1, (1,), (PYTORCH,), unknown)["skipped"]
    assert who["name"] == PYTORCH.name
    assert who["reason"] == "ValueError: Invalid learning rate: -1.0"


@pytest.mark.skipif(not shutil.which("g++"), reason="the peak is measured by a C++ program")
def test_a_step_has_its_microseconds_and_its_share_of_the_peak():
    small = replace(STEPS[0], rows=64, epochs=1)
    (measured,) = steps.run(1, (1,), (SCIKIT_LEARN,), (small,))["problems"]
    for row in measured["rows"]:
        assert row["step_us"] == pytest.approx(1e6 * row["median_seconds"] / 2)
        # 4 operations for each weight of the first layer, 6 for each of the second.
        flops = 64 * (4 * 8 * 50 + 6 * 50)
        assert row["gflops"] == pytest.approx(1e-9 * flops / row["median_seconds"])
        assert row["share_of_peak"] == pytest.approx(row["gflops"] / row["peak_gflops"])


def test_the_peak_of_the_memory_holds_what_a_training_allocates():
    small = replace(STEPS[0], rows=200_000, batch_size=200_000, epochs=1)
    (measured,) = memory.run(1, (1,), (SCIKIT_LEARN,), (small,))["problems"]
    (row,) = measured["rows"]
    if Path("/proc/self/clear_refs").exists():
        # Fifty hidden neurons for each row, at least once, in four bytes each.
        assert 200_000 * 50 * 4 < row["peak_bytes"] < 200_000 * 50 * 4 * 20
    else:
        assert row["peak_bytes"] is None


def test_a_cliff_is_twice_its_neighbours_trend():
    assert growth.cliffs([1, 2, 4, 8], [9.0, 5.0, 3.0, 3.0]) == []
    assert growth.cliffs([1, 2, 4, 8], [3.0, 3.0, 6.1, 6.0]) == [2]  # a step up
    assert growth.cliffs([1, 2, 4, 8], [80.0, 45.0, 5.0, 2.5]) == [1]  # a shoulder
    assert growth.cliffs([1, 2, 4, 8], [3.0, 3.0, 3.0, 6.1]) == [3]


def test_results_of_parts_measured_apart_are_kept_in_one_file_and_one_page(part, tmp_path):
    curve = growth.Curve("rows", tuple((n, replace(TINY, rows=n, epochs=n)) for n in (2, 4)))
    for name, values in (
        ("growth", growth.run(1, (1,), SCIKIT_LEARN, (curve,))),
        ("tutorial", part),
    ):
        merge(tmp_path, name, {"machine": MACHINE, "rounds": 1, **values})
    results = json.loads((tmp_path / "results.json").read_text())
    assert list(results) == ["tutorial", "growth"]
    assert [point["x"] for point in results["growth"]["curves"][0]["points"]] == [2, 4]
    page = (tmp_path / "results.md").read_text()
    assert "| linnet, native engine | 1 | " in page
    assert "- Skipped: nobody, 1 thread: No module named" in page
    assert "a processor (2 cores, Linux x86_64), Python 3.11.7, linnet 0.1.0" in page
    assert (tmp_path / "growth.png").stat().st_size > 5000


@pytest.mark.slow
def test_a_soak_of_some_seconds_finds_no_fault(tmp_path):
    summary, faults = soak.run(20.0, seed=3, log=tmp_path / "soak.jsonl")
    assert faults == []
    assert summary["trials"] == len((tmp_path / "soak.jsonl").read_text().splitlines()) >= 1
    assert summary["fits"] >= summary["trials"]


def test_a_soak_draws_the_same_trials_from_the_same_seed():
    one, other, third = (np.random.default_rng(seed) for seed in (0, 0, 1))
    jobs = [soak.draw(one) for _ in range(20)]
    assert jobs == [soak.draw(other) for _ in range(20)] != [soak.draw(third) for _ in range(20)]
    assert {job["kind"] for job in jobs} == {"train", *soak.ESTIMATORS}


def test_the_lines_of_solvers_end_with_what_the_table_says_of_them():
    runs = [[(0.1, 0.03), (4.2, 0.008)], [(0.2, 0.04), (5.0, 0.006)]]
    seconds, errors = solvers.drawn(runs, longest=15.0)
    assert seconds[0] >= 0.2 and seconds[-1] == 4.2
    np.testing.assert_array_equal(errors[:, -1], [solvers.at(run, 4.2) for run in runs])
    assert errors[0, -1] == 0.008
    figure = solvers.draw({"one": runs[:1], "two": runs}, half=7.5, unit="wall time")
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["one, 1 seed", "two, 2 seeds"]
