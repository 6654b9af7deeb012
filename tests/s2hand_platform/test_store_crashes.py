"""Many writers, some killed in the middle: nothing is lost, doubled or half seen."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from s2hand_platform.store.results import ResultStore

WRITERS = 4
TRIALS = 12
SAMPLES = 200


def name_of(index: int) -> str:
    return f"{index:064x}"


def write_all(path: Path, make_record: Any, make_evaluation: Any, order: list[int]) -> None:
    """Write every trial, saying so in a file after each commit."""
    store = ResultStore(path / "store")
    for index in order:
        evaluation = make_evaluation(
            float(index),
            samples={"test": {"error": [float(index)] * SAMPLES}},
            sample_ids={"test": [f"x{number}" for number in range(SAMPLES)]},
        )
        store.write_attempt(make_record(name_of(index), seed=index), evaluation, [(0, {"l": 1.0})])
        (path / f"committed-{index}").touch()


def check(path: Path) -> set[str]:
    """Check that what is visible is whole, and return it."""
    store = ResultStore(path / "store")
    trials = store.trials()
    assert not trials["trial_id"].duplicated().any()
    metrics = store.metrics(trials)
    for trial, seed in zip(trials["trial_id"], trials["seed"], strict=True):
        own = metrics[metrics["trial_id"] == trial].set_index("metric")["value"]
        assert own.to_dict() == {"error": seed, "score": 1 / (1 + seed)}
        samples = store.samples([trial], split="test", metric="error")
        assert samples["value"].tolist() == [seed] * SAMPLES
        assert len(store.curves([trial])) == 1
    return set(trials["trial_id"])


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_killed_writers_lose_and_double_nothing(
    tmp_path: Path, make_record: Any, make_evaluation: Any
) -> None:
    source = random.Random(0)
    context = multiprocessing.get_context("fork")
    for _ in range(6):
        writers = []
        for _ in range(WRITERS):
            order = source.sample(range(TRIALS), TRIALS)
            process = context.Process(
                target=write_all, args=(tmp_path, make_record, make_evaluation, order)
            )
            process.start()
            writers.append(process)
        for process in writers:
            time.sleep(source.uniform(0, 0.05))
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
        for process in writers:
            process.join()
            process.close()
        committed = {int(mark.name.split("-")[1]) for mark in tmp_path.glob("committed-*")}
        assert {name_of(index) for index in committed} <= check(tmp_path)

    write_all(tmp_path, make_record, make_evaluation, list(range(TRIALS)))
    assert check(tmp_path) == {name_of(index) for index in range(TRIALS)}
    ResultStore(tmp_path / "store").remove_leftovers(older_than_s=-1)
    assert check(tmp_path) == {name_of(index) for index in range(TRIALS)}
    assert not [path for path in tmp_path.glob("store/*/*") if path.name.startswith(".writing")]
