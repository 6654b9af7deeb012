from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tiny_experiment import TinyExperiment
from tiny_tables import FULL, Changed, persisted, table

from s2hand_platform.planning.planner import plan_table
from s2hand_platform.planning.reasons import Reasons
from s2hand_platform.store.results import ResultStore

Record = Callable[..., None]


def test_a_failure_is_told_and_forgotten_after_success(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    record(trial, status="failed", reason="out of memory")
    failed = plan_table(table(), tiny, store, [0]).trials[0]
    assert (failed.status, failed.reason) == ("failed", "attempt 0 failed: out of memory")
    record(trial, attempt=1)
    assert plan_table(table(), tiny, store, [0]).trials[0].status == "cached"


def test_the_last_attempt_is_told(tiny: TinyExperiment, store: ResultStore, record: Record) -> None:
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    for attempt, reason in enumerate(("out of memory", "disk full")):
        record(trial, attempt=attempt, status="failed", reason=reason)
    assert plan_table(table(), tiny, store, [0]).trials[0].reason == "attempt 1 failed: disk full"


def test_an_early_stopped_trial_is_missing(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    record(plan_table(table(), tiny, store, [0]).trials[0], status="stopped_early")
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    assert (trial.status, trial.reason) == ("missing", "only ended early by a search so far")


def test_a_damaged_result_is_run_again_and_named(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    record(trial)
    (path,) = (store.path / "attempts").glob("*.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    plan_table(table(), tiny, store, [0])  # meets the damage
    again = plan_table(table(), tiny, ResultStore(store.path), [0]).trials[0]
    assert again.status == "missing"
    assert again.reason.startswith(f"its result was set aside: attempts/{path.name}: ")


def test_other_training_data_is_stale(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    record(trial, trial_id="f" * 64, data_fingerprint="old")
    stale = plan_table(table(), tiny, store, [0]).trials[0]
    assert stale.status == "stale"
    assert stale.reason == "finished before, but the training data changed since"
    assert stale.trial_id == trial.trial_id


def test_a_changed_module_of_the_training_is_named(store: ResultStore, record: Record) -> None:
    before, after = Changed(training_loss="1"), Changed(training_loss="2")
    record(plan_table(table(), before, store, [0]).trials[0])
    assert plan_table(table(), before, store, [0]).trials[0].status == "cached"
    stale = plan_table(table(), after, store, [0]).trials[0]
    assert (stale.status, stale.reason) == (
        "stale",
        "finished before, but the code (training_loss) changed since",
    )


def test_what_failed_before_makes_nothing_stale(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    record(trial, trial_id="f" * 64, data_fingerprint="old", status="failed")
    again = plan_table(table(), tiny, store, [0]).trials[0]
    assert (again.status, again.reason) == ("missing", "never run with this configuration and seed")


@pytest.mark.parametrize(
    ("before", "changed"),
    [
        ({"code_fingerprint": "old"}, "the code"),
        ({"code_fingerprint": "old", "data_fingerprint": "old"}, "the training data and the code"),
    ],
)
def test_code_that_is_not_known_any_more_is_told(
    tiny: TinyExperiment, store: ResultStore, record: Record, before: Any, changed: str
) -> None:
    record(plan_table(table(), tiny, store, [0]).trials[0], trial_id="f" * 64, **before)
    stale = plan_table(table(), tiny, store, [0]).trials[0]
    assert (stale.status, stale.reason) == (
        "stale",
        f"finished before, but {changed} changed since",
    )


def test_code_is_compared_with_what_finished_last(store: ResultStore, record: Record) -> None:
    for experiment, seconds in ((Changed(training_a="1"), 1), (Changed(training_a="2"), 2)):
        trial = plan_table(table(), experiment, store, [0]).trials[0]
        record(trial, seconds=seconds)
    after = Changed(training_a="2", training_b="1")
    assert plan_table(table(), after, store, [0]).trials[0].reason == (
        "finished before, but the code (training_b) changed since"
    )


@pytest.mark.parametrize(
    ("changed", "told"),
    [("abc", "training_a, training_b, training_c"),
     ("abcde", "training_a, training_b, training_c and 2 more")],
)  # fmt: skip
def test_of_many_changes_three_are_named(
    store: ResultStore, record: Record, changed: str, told: str
) -> None:
    before, after = (
        Changed(**{f"training_{name}": digest for name in changed}) for digest in ("1", "2")
    )
    record(plan_table(table(), before, store, [0]).trials[0])
    stale = plan_table(table(), after, store, [0]).trials[0]
    assert stale.reason == f"finished before, but the code ({told}) changed since"


@pytest.mark.parametrize(
    ("training_loss", "changed"),
    [
        ("1", "the starting weights 'hands' changed"),
        ("2", "the code (training_loss) and the starting weights 'hands' changed"),
    ],
)
def test_what_changed_and_is_no_module_is_named_by_its_words(
    store: ResultStore, record: Record, training_loss: str, changed: str
) -> None:
    class Starting(Changed):
        """Begins with a file."""

        def training_code(self, config: Any, device_type: str) -> dict[str, str]:
            weights = {"starting weights 'hands'": self._digests["file"]}
            return {**super().training_code(config, device_type), **weights}

    before = Starting(training_loss="1", file="a")
    record(plan_table(table(), before, store, [0]).trials[0])
    assert plan_table(table(), before, store, [0]).trials[0].status == "cached"
    after = Starting(training_loss=training_loss, file="b")
    stale = plan_table(table(), after, store, [0]).trials[0]
    assert (stale.status, stale.reason) == ("stale", f"finished before, but {changed} since")


def test_a_changed_metric_is_evaluated_again_and_not_trained(
    store: ResultStore, record: Record
) -> None:
    before, after = Changed(evaluation_pck="1"), Changed(evaluation_pck="2")
    first = plan_table(table(), before, store, [0]).trials[0]
    record(first)
    again = plan_table(table(), after, store, [0]).trials[0]
    assert again.trial_id == first.trial_id
    assert (again.status, again.reason) == (
        "evaluate",
        "trained already; its evaluation is of other code or data: evaluation_pck",
    )
    record(again, attempt=1)
    for experiment in (before, after):  # both evaluations are in the store
        assert plan_table(table(), experiment, store, [0]).trials[0].status == "cached"


@pytest.mark.parametrize("after", [Changed(data="other"), "grid"])
def test_other_evaluation_data_or_settings_are_evaluated_again(
    store: ResultStore, record: Record, after: Any
) -> None:
    before = Changed()
    first = plan_table(table(), before, store, [0]).trials[0]
    record(first)
    spec = table(grid=11) if after == "grid" else table()
    again = plan_table(spec, before if after == "grid" else after, store, [0]).trials[0]
    assert (again.status, again.trial_id) == ("evaluate", first.trial_id)
    what = "setting grid" if after == "grid" else "the evaluation's data"
    assert again.reason.endswith(f"is of other code or data: {what}")


@pytest.mark.parametrize("evaluation", [None, "forgotten"])
def test_an_evaluation_that_is_not_known_any_more_is_made_again(
    tiny: TinyExperiment, store: ResultStore, record: Record, evaluation: str | None
) -> None:
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    record(trial, evaluation_fingerprint=evaluation)
    again = plan_table(table(), tiny, store, [0]).trials[0]
    assert (again.status, again.reason) == (
        "evaluate",
        "trained already; its evaluation is of other code or data: which is not known any more",
    )


def test_an_evaluation_is_compared_with_the_last_one(store: ResultStore, record: Record) -> None:
    for attempt, digest in enumerate("12"):
        trial = plan_table(table(), Changed(evaluation_a=digest), store, [0]).trials[0]
        record(trial, attempt=attempt)
    after = Changed(evaluation_a="2", evaluation_b="1")
    again = plan_table(table(), after, store, [0]).trials[0]
    assert again.reason.endswith("is of other code or data: evaluation_b")


def test_another_device_is_another_trial(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    record(plan_table(table(), tiny, store, [0], device_type="cuda").trials[0])
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    assert (trial.status, trial.reason) == ("missing", "finished on cuda, not on cpu")
    assert plan_table(table(), tiny, store, [0], device_type="cuda").trials[0].status == "cached"


@pytest.mark.parametrize(
    ("devices", "told"),
    [([None], "another device"), (["mps", None, "cuda", "mps"], "cuda, mps")],
)
def test_devices_that_finished_are_named_where_they_were_recorded(
    tiny: TinyExperiment,
    store: ResultStore,
    record: Record,
    devices: list[str | None],
    told: str,
) -> None:
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    for number, device_type in enumerate(devices):
        record(trial, trial_id=f"{number}" * 64, device_type=device_type)
    again = plan_table(table(), tiny, store, [0]).trials[0]
    assert (again.status, again.reason) == ("missing", f"finished on {told}, not on cpu")


def test_a_changed_setting_is_named(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    spec = table("t", FULL, points={"source": "here"})
    before = plan_table(spec, tiny, store, [0])
    record(before.trials[0])
    store.write_plan(persisted(spec, before, tiny))
    moved = {"source": "there"}  # where the data lies changes nothing
    changed = plan_table(table("t", FULL, learning_rate=0.5, points=moved), tiny, store, [0])
    changed = changed.trials[0]
    assert changed.status == "missing"
    assert changed.reason.endswith("the row's settings changed: learning_rate: 0.3 before, 0.5 now")


def test_settings_that_changed_elsewhere_are_not_named(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    """Only what was last run under the same label, on the same device, is compared with."""
    spec = replace(table("t", FULL), label="here")
    for label, device_type in (("there", "cpu"), ("here", "cuda")):
        other = replace(table("t", FULL, learning_rate=0.9), label=label)
        plan = plan_table(other, tiny, store, [0], device_type=device_type)
        store.write_plan(persisted(other, plan, tiny))
    trial = plan_table(spec, tiny, store, [0]).trials[0]
    assert trial.reason == "never run with this configuration and seed"


def test_settings_are_named_for_what_was_never_run_alone(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    """Other data explains a stale trial, whatever its row was before."""
    trial = plan_table(table("t", FULL), tiny, store, [0]).trials[0]
    record(trial, trial_id="f" * 64, data_fingerprint="old")
    before = table("t", FULL, learning_rate=0.9)
    store.write_plan(persisted(before, plan_table(before, tiny, store, [0]), tiny))
    stale = plan_table(table("t", FULL), tiny, store, [0]).trials[0]
    assert stale.reason == "finished before, but the training data changed since"


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"rate": 1}, {"rate": 1}, ""),
        ({"rate": 1}, {"steps": 2}, "rate: 1 before, 'absent' now, steps: 'absent' before, 2 now"),
        ({"weights": [1, 2]}, {"weights": [1, 3]}, "weights: [1, 2] before, [1, 3] now"),
        (
            {"stages": [{"name": "image", "epochs": 3}, {"name": "last", "epochs": 1}]},
            {"stages": [{"name": "image", "epochs": 4}, {"name": "last", "epochs": 1}]},
            "stages.image.epochs: 3 before, 4 now",
        ),
        (
            {"stages": ({"epochs": 3}, {"epochs": 1})},
            {"stages": ({"epochs": 3}, {"epochs": 2})},
            "stages.1.epochs: 1 before, 2 now",
        ),
    ],
)
def test_changed_settings_are_named_one_by_one(
    store: ResultStore, before: Any, now: Any, told: str
) -> None:
    reasons = Reasons(store, store.attempts(), ())
    expected = f"never run; the row's settings changed: {told}" if told else "never run"
    assert reasons.with_changed_settings("never run", before, now) == expected


def test_what_cannot_be_fingerprinted_is_missing_each_time(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    spec = table(**{"points.source": "unknown"})
    first = plan_table(spec, tiny, store, [0]).trials[0]
    record(first)
    again = plan_table(spec, tiny, store, [0]).trials[0]
    assert again.status == "missing"
    assert again.reason == "the training data cannot be fingerprinted: never reused"
    assert again.trial_id != first.trial_id


def test_code_that_cannot_be_fingerprinted_is_named(
    tiny: TinyExperiment, store: ResultStore
) -> None:
    tiny.training_code = lambda *_: None  # type: ignore[assignment,method-assign,return-value]
    trials = plan_table(table("t", FULL), tiny, store, [0]).trials
    assert trials[0].reason == "the code cannot be fingerprinted: never reused"
    trials = plan_table(table("t", FULL, points={"source": "unknown"}), tiny, store, [0]).trials
    assert trials[0].reason == "the training data and code cannot be fingerprinted: never reused"
