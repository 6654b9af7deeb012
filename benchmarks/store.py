"""Time the result store against its bounds, at sizes up to a hundred thousand trials.

    python benchmarks/store.py [--sizes 100 2000 10000 100000] [--recent 500]

A trial has 20 metrics, 20 epochs of 4 scalars, 100 samples of 2 metrics and a configuration of some
180 settings; five trials share a configuration. Stores are generated as compacted files, with
``--recent`` attempts beside them as single files. Bounds, at every size: one trial by its name (its
last attempt; its curves; its samples) 20 ms; what a table or a plan needs (attempts and metrics of
100 trials; all attempts of 100 configurations; whether version 1 wrote any) 1 s; 1 GiB of memory.
Each store is asked by a fresh process. Bounds are held against processor time, which a busy machine
leaves alone; the clock's time stands beside. Commits take turns with those of version 1, a file in
each of four folders: at most as long by the clock, as they mostly wait for the disk.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from s2hand_platform.experiments.protocol import Evaluation
from s2hand_platform.store.attempts import AttemptFiles
from s2hand_platform.store.records import AttemptRecord, Environment
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.schema import ATTEMPTS
from s2hand_platform.store.set_aside import SetAsideRoom

ONE_TRIAL_MS = 20.0
TABLE_MS = 1000.0
MEMORY_MIB = 1024.0
PARTITIONS = "0123456789abcdef"
SEEDS = 5
ASKED = 100
START = datetime(2024, 5, 1, tzinfo=UTC)
METRICS = [f"metric_{index}_cm" for index in range(20)]
SCALARS = [f"loss_{index}" for index in range(4)]
SAMPLES = [f"{index:08d}" for index in range(100)]
SETTINGS = {f"group.setting_{index}": index * 1.5 for index in range(180)}


def trial_id(index: int) -> str:
    """Name a trial."""
    return hashlib.sha256(f"trial {index}".encode()).hexdigest()


def config_hash(index: int) -> str:
    """Name a trial's configuration."""
    return hashlib.sha256(f"configuration {index // SEEDS}".encode()).hexdigest()


def record(index: int) -> AttemptRecord:
    """Make the record of a trial."""
    return AttemptRecord(
        trial_id=trial_id(index),
        attempt=0,
        experiment="benchmark",
        config={**SETTINGS, "group.configuration": index // SEEDS},
        config_hash=config_hash(index),
        seed=index % SEEDS,
        data_fingerprint="d" * 64,
        code_fingerprint="e" * 64,
        evaluation_fingerprint="f" * 64,
        device_type="cpu",
        status="finished",
        environment=Environment(
            framework="torch 2.13.0", device="cpu", precision="float32", threads=1
        ),
        started=START + timedelta(minutes=index),
        finished=START + timedelta(minutes=index + 1),
        training_s=50.0,
        evaluation_s=10.0,
        units=dict.fromkeys(METRICS, "cm"),
    )


def evaluation(source: np.random.Generator) -> Evaluation:
    """Make the evaluation of a trial."""
    return Evaluation(
        metrics={f"test/{name}": float(source.random()) for name in METRICS},
        samples={"test": {name: source.random(len(SAMPLES)) for name in METRICS[:2]}},
        sample_ids={"test": SAMPLES},
        evaluator_id="benchmark-1",
    )


def curve(source: np.random.Generator) -> list[tuple[int, dict[str, float]]]:
    """Make the curve of a trial."""
    return [(epoch, {name: float(source.random()) for name in SCALARS}) for epoch in range(20)]


def generate(folder: Path, count: int, recent: int) -> None:
    """Make a store of ``count`` trials: copies of one attempt under other names and values."""
    source = np.random.default_rng(0)
    store = ResultStore(folder)
    for index in range(count - recent, count):
        store.write_attempt(record(index), evaluation(source), curve(source))
    if recent == count:
        return
    with tempfile.TemporaryDirectory() as aside:
        template = ResultStore(aside)
        template.write_attempt(record(0), evaluation(source), curve(source))
        (path,) = Path(aside).glob("attempts/*.parquet")
        line = pq.read_table(path)
    files = AttemptFiles(folder, SetAsideRoom(folder))
    by_partition: dict[str, list[int]] = {partition: [] for partition in PARTITIONS}
    for index in range(count - recent):
        by_partition[trial_id(index)[0]].append(index)
    for partition, indices in by_partition.items():
        files.write_compacted(lines_of(line, indices, source), partition)


def lines_of(line: pa.Table, indices: list[int], source: np.random.Generator) -> pa.Table:
    """Repeat a line under the names and with the settings of other trials."""
    repeated = line.take(pa.array([0] * len(indices)))
    columns = {name: repeated[name].combine_chunks() for name in ATTEMPTS.names}
    columns["commit"] = pa.array([uuid.uuid4().hex for _ in indices])
    columns["trial_id"] = pa.array([trial_id(index) for index in indices])
    columns["config_hash"] = pa.array([config_hash(index) for index in indices])
    columns["seed"] = pa.array([index % SEEDS for index in indices], pa.int64())
    columns["config_json"] = pa.array(
        json.dumps({**SETTINGS, "group.configuration": index // SEEDS}) for index in indices
    )
    metrics = columns["metrics"].values
    entries = {metrics.type[i].name: metrics.field(i) for i in range(metrics.type.num_fields)}
    entries["value"] = pa.array(source.random(len(metrics)))
    columns["metrics"] = pa.ListArray.from_arrays(
        columns["metrics"].offsets,
        pa.StructArray.from_arrays(list(entries.values()), list(entries)),
    )
    samples = columns["samples"].values
    parts = {samples.type[i].name: samples.field(i) for i in range(samples.type.num_fields)}
    parts["values"] = pa.ListArray.from_arrays(
        parts["values"].offsets, pa.array(source.random(len(parts["values"].values)))
    )
    columns["samples"] = pa.ListArray.from_arrays(
        columns["samples"].offsets, pa.StructArray.from_arrays(list(parts.values()), list(parts))
    )
    return pa.table(columns).cast(ATTEMPTS)


def median_ms(call: Callable[[int], Any], repeats: int) -> tuple[float, float]:
    """Return the median of some calls, each for another question: processor time, clock."""
    times = []
    for repeat in range(repeats):
        clock, processor = time.perf_counter(), time.process_time()
        call(repeat)
        times.append((time.process_time() - processor, time.perf_counter() - clock))
    processor_s, clock_s = (statistics.median(values) for values in zip(*times, strict=True))
    return processor_s * 1e3, clock_s * 1e3


def measure_reading(folder: Path, count: int) -> dict[str, float]:
    """Time a fresh process's questions, none asked twice."""
    before_mib = peak_mib()
    picks = np.random.default_rng(1).permutation(count)
    trials = [trial_id(index) for index in picks]
    asked = min(ASKED, max(count // 4, 1))

    def ids(repeat: int) -> list[str]:
        return trials[repeat * asked % count :][:asked]

    def configs(repeat: int) -> list[str]:
        return [config_hash(index) for index in picks[repeat * asked % count :][:asked]]

    def table(repeat: int) -> None:
        store = ResultStore(folder)
        found = store.metrics(store.attempts(trial_ids=ids(repeat)))
        assert len(found) == len(METRICS) * len(ids(repeat))

    def plan(repeat: int) -> None:
        store = ResultStore(folder)
        attempts = store.attempts(config_hashes=configs(repeat))
        assert set(attempts["config_hash"]) == set(configs(repeat))

    def last_attempt(repeat: int) -> None:
        found = ResultStore(folder).last_attempt(trials[repeat])
        assert found is not None
        assert len(found.metrics) == len(METRICS)

    questions: dict[str, tuple[Callable[[int], Any], int]] = {
        "one trial": (last_attempt, 30),
        "its curves": (lambda n: ResultStore(folder).curves([trials[n]]), 30),
        "its samples": (
            lambda n: ResultStore(folder).samples([trials[n]], split="test", metric=METRICS[0]),
            10,
        ),
        "table": (table, 4),
        "plan": (plan, 4),
        "old results": (lambda _: ResultStore(folder).num_of_version_1(), 4),
    }
    measured = {}
    for name, (call, repeats) in questions.items():
        measured[f"{name} [ms]"], measured[f"{name}, clock [ms]"] = median_ms(call, repeats)
    return {**measured, "memory [MiB]": peak_mib() - before_mib}


BOUNDS = {
    "one trial [ms]": ONE_TRIAL_MS,
    "its curves [ms]": ONE_TRIAL_MS,
    "its samples [ms]": ONE_TRIAL_MS,
    "table [ms]": TABLE_MS,
    "plan [ms]": TABLE_MS,
    "old results [ms]": TABLE_MS,
    "memory [MiB]": MEMORY_MIB,
}


def peak_mib() -> float:
    """Return the peak of this process's resident memory (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = [line for line in lines if line.startswith("VmHWM")]
    return int(peak.split()[1]) / 1024


def measure_compaction(folder: Path) -> dict[str, float]:
    """Time the compaction of what is recent."""
    before_mib = peak_mib()
    start = time.process_time()
    ResultStore(folder).compact()
    return {
        "compaction [s]": time.process_time() - start,
        "its memory [MiB]": peak_mib() - before_mib,
    }


def measure_commits(repeats: int) -> dict[str, float]:
    """Time commits of this version and of version 1 in turns."""
    source = np.random.default_rng(2)
    times: dict[str, list[float]] = {"commit [ms]": [], "version 1 [ms]": []}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        store = ResultStore(Path(folder) / "store")
        for index in range(repeats):
            made = (record(index), evaluation(source), curve(source))
            start = time.perf_counter()
            store.write_attempt(*made)
            middle = time.perf_counter()
            commit_as_version_1(Path(folder) / "version1", *made)
            times["commit [ms]"].append(middle - start)
            times["version 1 [ms]"].append(time.perf_counter() - middle)
    return {name: statistics.median(values) * 1e3 for name, values in times.items()}


def commit_as_version_1(
    folder: Path,
    made: AttemptRecord,
    evaluated: Evaluation,
    points: list[tuple[int, dict[str, float]]],
) -> None:
    """Write an attempt the way version 1 did: four files, each flushed and renamed."""
    units = "cm"
    tables = {
        "samples": [
            ("test", name, sample, float(value), units)
            for name, values in evaluated.samples["test"].items()
            for sample, value in zip(SAMPLES, values, strict=True)
        ],
        "curves": [
            (epoch, name, value) for epoch, scalars in points for name, value in scalars.items()
        ],
        "metrics": [(*key.split("/"), value, units) for key, value in evaluated.metrics.items()],
        "trials": [
            (
                made.experiment,
                json.dumps(dict(made.config), sort_keys=True),
                made.config_hash,
                made.seed,
                made.data_fingerprint,
                made.code_fingerprint,
                made.status,
                made.reason,
                made.environment.kind,
                made.environment.to_json(),
                made.started,
                made.finished,
                made.duration_s,
                evaluated.evaluator_id,
                "{}",
            )
        ],
    }
    for name, lines in tables.items():
        columns = {f"column_{i}": list(values) for i, values in enumerate(zip(*lines, strict=True))}
        for key, value in (("commit", uuid.uuid4().hex), ("trial_id", made.trial_id), ("n", 0)):
            columns[key] = [value] * len(lines)
        target = folder / name / f"{made.trial_id}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(".writing")
        with temporary.open("wb") as file:
            pq.write_table(pa.table(columns), file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        descriptor = os.open(target.parent, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def in_fresh_process(
    function: Callable[..., dict[str, float]], *arguments: Any
) -> dict[str, float]:
    """Call a function where nothing is cached and memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    """Print a line per size, or with ``--json`` one object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 2_000, 10_000, 100_000])
    parser.add_argument("--recent", type=int, default=500, help="attempts that are not compacted")
    parser.add_argument("--commits", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    rows = []
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "store"
            generate(store, size, min(arguments.recent, size))
            disk_mib = sum(path.stat().st_size for path in store.rglob("*")) / 2**20
            row = {"trials": size, "disk [MiB]": disk_mib}
            row |= in_fresh_process(measure_reading, store, size)
            row |= in_fresh_process(measure_compaction, store)
            rows.append(row)
            if not arguments.json:
                show(row)
    commits = measure_commits(arguments.commits)
    ratio = commits["commit [ms]"] / commits["version 1 [ms]"]
    if arguments.json:
        print(json.dumps({"rows": rows, "commits": commits, "ratio": ratio}))
    else:
        print(", ".join(f"{name} {value:.1f}" for name, value in commits.items()))
        print(f"ratio {ratio:.2f} (bound 1.00)")


def show(row: dict[str, float]) -> None:
    """Print what was measured at one size, with its part of the bound."""
    print(f"{row['trials']} trials, {row['disk [MiB]']:.0f} MiB")
    for name, bound in BOUNDS.items():
        clock = row.get(name.replace(" [ms]", ", clock [ms]"))
        beside = "" if name == "memory [MiB]" else f"   clock {clock:.1f}"
        print(f"  {name:18} {row[name]:8.1f}   {row[name] / bound:5.2f} of {bound:.0f}{beside}")
    print(f"  compaction {row['compaction [s]']:.1f} s, {row['its memory [MiB]']:.0f} MiB")


if __name__ == "__main__":
    main()
