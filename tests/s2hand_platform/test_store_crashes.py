"""Many writers, readers and compactions, some killed: nothing is lost, doubled or half seen."""

import multiprocessing
import os
import random
import time
from collections.abc import Callable
from multiprocessing.context import ForkContext, ForkProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import version1_store

from s2hand_platform.store.results import ResultStore

WRITERS = 4
TRIALS = 12
SAMPLES = 200

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


@pytest.fixture
def forking() -> ForkContext:
    return multiprocessing.get_context("fork")


def name_of(index: int) -> str:
    """Name a trial; there are two partitions."""
    return f"{'ab'[index % 2]}{index:063x}"


def write_all(path: Path, make_record: Any, make_evaluation: Any, order: list[int]) -> None:
    """Write every trial, saying so in a file after each commit."""
    store = ResultStore(path / "store")
    for index in order:
        evaluation = make_evaluation(
            float(index),
            samples={"test": {"error": [float(index)] * SAMPLES}},
            sample_ids={"test": [f"x{number}" for number in range(SAMPLES)]},
            predictions={"test": {"betas": np.full((SAMPLES, 10), index)}},
        )
        store.write_attempt(make_record(name_of(index), seed=index), evaluation, [(0, {"l": 1.0})])
        (path / f"committed-{index}").touch()


def compact_forever(path: Path) -> None:
    store = ResultStore(path / "store")
    while True:
        store.compact()


def kill_some(processes: list[ForkProcess], source: random.Random, longest_s: float) -> None:
    for process in processes:
        time.sleep(source.uniform(0, longest_s))
        process.kill()  # also where it has ended by itself
    for process in processes:
        process.join()
        process.close()


def committed(path: Path) -> set[str]:
    return {name_of(int(mark.name.split("-")[1])) for mark in path.glob("committed-*")}


def check(path: Path) -> set[str]:
    """Check that what is visible is whole, and return it."""
    store = ResultStore(path / "store")
    trials = store.trials()
    assert not trials["trial_id"].duplicated().any()
    names = list(trials["trial_id"])
    metrics = store.metrics(trials).groupby("trial_id")
    samples = store.samples(names, split="test", metric="error").groupby("trial_id")
    curves = store.curves(names)
    assert sorted(curves["trial_id"]) == sorted(names)
    for trial, seed in zip(names, trials["seed"], strict=True):
        own = metrics.get_group(trial).set_index("metric")["value"]
        assert own.to_dict() == {"error": seed, "score": 1 / (1 + seed)}
        assert samples.get_group(trial)["value"].tolist() == [seed] * SAMPLES
        predictions = store.predictions(trial, "test")
        assert predictions is not None
        assert (predictions.arrays["betas"] == seed).all()
    assert store.remarks == ()
    return set(trials["trial_id"])


def test_killed_writers_lose_and_double_nothing(
    tmp_path: Path, make_record: Any, make_evaluation: Any, forking: ForkContext
) -> None:
    source = random.Random(0)
    for _ in range(6):
        writers = []
        for _ in range(WRITERS):
            order = source.sample(range(TRIALS), TRIALS)
            process = forking.Process(
                target=write_all, args=(tmp_path, make_record, make_evaluation, order)
            )
            process.start()
            writers.append(process)
        kill_some(writers, source, 0.05)
        before = committed(tmp_path)
        assert before <= check(tmp_path)

    write_all(tmp_path, make_record, make_evaluation, list(range(TRIALS)))
    everything = {name_of(index) for index in range(TRIALS)}
    assert check(tmp_path) == everything
    store = ResultStore(tmp_path / "store")
    store.remove_leftovers(older_than_s=-1)
    assert check(tmp_path) == everything
    store.compact()
    store.remove_leftovers(older_than_s=-1)
    assert check(tmp_path) == everything
    assert not list(tmp_path.glob("store/*/.writing-*"))
    assert not list(tmp_path.glob("store/attempts/*"))
    assert len(list(tmp_path.glob("store/compacted/*.parquet"))) == 2
    assert len(list(tmp_path.glob("store/predictions/*"))) == TRIALS


def test_killed_compactions_change_nothing(
    tmp_path: Path, make_record: Any, make_evaluation: Any, forking: ForkContext
) -> None:
    source = random.Random(1)
    for _ in range(6):
        order = source.sample(range(TRIALS), TRIALS)
        processes = [
            forking.Process(target=write_all, args=(tmp_path, make_record, make_evaluation, order)),
            forking.Process(target=compact_forever, args=(tmp_path,)),
            forking.Process(target=compact_forever, args=(tmp_path,)),
        ]
        for process in processes:
            process.start()
        before = committed(tmp_path)
        assert before <= check(tmp_path)
        source.shuffle(processes)
        kill_some(processes, source, 0.15)
        before = committed(tmp_path)
        assert before <= check(tmp_path)

    write_all(tmp_path, make_record, make_evaluation, list(range(TRIALS)))
    store = ResultStore(tmp_path / "store")
    store.compact()
    store.remove_leftovers(older_than_s=-1)
    assert check(tmp_path) == {name_of(index) for index in range(TRIALS)}
    assert not list(tmp_path.glob("store/*/.writing-*"))
    assert len(list(tmp_path.glob("store/attempts/*"))) == 0


def stop_at(step: int, during: Callable[[], object]) -> bool:
    """Run ``during`` in a process that dies before its ``step``-th change of the file system.

    Returns:
        Whether it died.
    """
    child = os.fork()
    if child == 0:
        count = 0

        def dying(change: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **settings: Any) -> Any:
                nonlocal count
                count += 1
                if count == step:
                    os._exit(9)
                return change(*arguments, **settings)

            return call

        Path.replace = dying(Path.replace)  # type: ignore[method-assign]
        Path.unlink = dying(Path.unlink)  # type: ignore[method-assign]
        os.fsync = dying(os.fsync)
        during()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 9


@pytest.mark.parametrize("again", [False, True], ids=["read", "compacted again"])
def test_a_compaction_may_die_at_any_step(
    tmp_path: Path, make_record: Any, make_evaluation: Any, again: bool
) -> None:
    """Every change of the file system in turn is the one that does not happen."""
    step = 0
    while True:
        step += 1
        path = tmp_path / str(step)
        store = ResultStore(path)
        for index in range(2):
            store.write_attempt(make_record(name_of(0), attempt=index), make_evaluation(index))
            store.compact()
        version1_store.write_attempt(path, name_of(2), error=5.0)
        for index in (2, 3):
            store.write_attempt(make_record(name_of(0), attempt=index), make_evaluation(index))
        expected = look(store)
        died = stop_at(step, store.compact)
        assert look(store) == expected
        if again:
            store.compact()
            store.remove_leftovers(older_than_s=-1)
            assert look(store) == expected
            assert len(list(path.glob("compacted/*.parquet"))) == 1
            assert not list(path.glob("*/.writing-*"))
            assert not [file for name in version1_store.SCHEMAS for file in path.glob(f"{name}/*")]
        if not died:
            break
    assert step > 10


def look(store: ResultStore) -> list[tuple[object, ...]]:
    trials = store.trials()
    metrics = store.metrics(trials)
    errors = metrics[metrics["metric"] == "error"].set_index(["trial_id", "attempt"])["value"]
    assert store.remarks == ()
    return [
        (line.trial_id, line.attempt, line.store_version, errors[line.trial_id, line.attempt])
        for line in trials.itertuples()
    ]


@pytest.mark.parametrize("after", ["compacted", "_files"])
def test_a_reader_that_is_overtaken_looks_again(
    tmp_path: Path,
    make_record: Any,
    make_evaluation: Any,
    monkeypatch: pytest.MonkeyPatch,
    after: str,
) -> None:
    """A compaction comes between listing compacted files, or all files, and opening them."""
    store, other = ResultStore(tmp_path), ResultStore(tmp_path)
    for index in range(4):
        store.write_attempt(make_record(name_of(index), seed=index), make_evaluation(index))
    list_files = getattr(store._files, after)
    overtaken = []

    def listed_then_compacted(*wanted: Any) -> list[Path]:
        files: list[Path] = list_files(*wanted)
        if not overtaken:
            overtaken.append(other.compact())
        return files

    monkeypatch.setattr(store._files, after, listed_then_compacted)
    assert sorted(store.trials()["seed"]) == [0, 1, 2, 3]
    assert overtaken == [4]


def test_two_compactions_that_know_nothing_of_each_other_lose_nothing(
    tmp_path: Path, make_record: Any, make_evaluation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a file system does not lock: one runs whole between the other's reads and writes."""
    store, other = ResultStore(tmp_path), ResultStore(tmp_path)
    for index in range(3):
        store.write_attempt(make_record(name_of(0), attempt=index), make_evaluation(index))
    expected = look(store)
    write = store._files.write_compacted
    monkeypatch.setattr("s2hand_platform.store.compaction._LOCK", ".first")

    def after_the_other(lines: Any, partition: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("s2hand_platform.store.compaction._LOCK", ".second")
            assert other.compact() == 3
        write(lines, partition)

    monkeypatch.setattr(store._files, "write_compacted", after_the_other)
    store.compact()
    monkeypatch.undo()
    assert len(list(tmp_path.glob("compacted/*.parquet"))) == 2
    assert look(store) == expected


def test_a_compaction_leaves_the_work_to_one_at_it(
    tmp_path: Path, make_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = ResultStore(tmp_path), ResultStore(tmp_path)
    store.write_attempt(make_record())
    seen = []
    write = store._files.write_compacted

    def while_the_other_tries(lines: Any, partition: str) -> None:
        seen.append(other.compact())
        write(lines, partition)

    monkeypatch.setattr(store._files, "write_compacted", while_the_other_tries)
    assert store.compact() == 1
    assert seen == [0]
