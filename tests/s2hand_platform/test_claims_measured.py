"""Claims against seeds, beside SciPy's own tests."""

from typing import Any

import numpy as np
import pytest
from claim_parts import BETTER, THE_SAME, between, cell, part, stated
from scipy import stats

from s2hand_platform.claims.measured import MeasuredFinding, MeasuredRow, judge_measured
from s2hand_platform.experiments.protocol import DataRecord
from s2hand_platform.identity import EVALUATION_DATA
from s2hand_platform.spec.claim_checks import Part
from s2hand_platform.store.table_plan import PlanRow

Values = dict[int, float]


def measured(
    values: Values, contents: dict[str, str] | None = None, test_set: str = "", **plan: Any
) -> MeasuredRow:
    fields: dict[str, Any] = {
        "id": "", "label": "", "settings": {}, "config_hash": "", "data": "", "code": "",
        "evaluation": "f", "trial_ids": {},
        "measured_on": DataRecord(
            title="", dataset="", version="", origin="official", fingerprint=test_set
        ),
    }  # fmt: skip
    plan_row = PlanRow(**{**fields, **plan})
    return MeasuredRow(plan=plan_row, values={"error": values}, failed={}, evaluation=contents)


def seeds(*values: float) -> Values:
    return dict(enumerate(values))


def judge(one: Part, row: Values, baseline: Values, **plan: Any) -> MeasuredFinding:
    (found,) = judge_measured([one], {"t": {"a": measured(row, **plan), "b": measured(baseline)}})
    return found


NONE = seeds(1.0, 1.0, 1.0)


def test_pairs_are_of_the_same_seed() -> None:
    found = judge(part("gain", BETTER), {0: 1.0, 2: 0.7, 5: 0.5}, {5: 0.9, 0: 1.2, 1: 9.0})
    assert found.pairs == pytest.approx({0: 0.2, 5: 0.4})
    assert found.interval is not None
    low, high = stats.t.interval(0.95, 1, loc=0.3, scale=stats.sem([0.2, 0.4]))
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("quantity", "direction", "expected"),
    [
        ("difference", "lower", -0.5),
        ("difference", "higher", -0.5),
        ("gain", "lower", 0.5),
        ("gain", "higher", -0.5),
        ("percent", "lower", 25),
        ("percent", "higher", -25),
    ],
)
def test_quantities_of_a_pair(quantity: Any, direction: str, expected: float) -> None:
    one = part(quantity, BETTER, direction=direction)
    assert judge(one, {3: 1.5}, {3: 2.0}).pairs == pytest.approx({3: expected})


@pytest.mark.parametrize("shift", [-0.9, -0.3, -0.1, 0.1, 0.3, 0.9])
def test_an_order_is_scipys_paired_t_test(shift: float) -> None:
    row, baseline = seeds(0.0, 0.2, 0.1, 0.4), seeds(*(np.array([0.1, 0.0, 0.3, 0.2]) + shift))
    p = stats.ttest_rel(list(baseline.values()), list(row.values())).pvalue
    mean = np.mean(list(baseline.values())) - np.mean(list(row.values()))
    expected = "not decided" if p > 0.05 else "holds" if mean > 0 else "contradicted"
    assert judge(part("gain", BETTER), row, baseline).outcome == expected


def test_the_shifts_above_meet_all_outcomes() -> None:
    row = seeds(0.0, 0.2, 0.1, 0.4)
    outcomes = {
        judge(
            part("gain", BETTER), row, {s: v + shift for s, v in row.items()} | {3: 0.5 + shift}
        ).outcome
        for shift in (-0.9, 0.0, 0.9)
    }
    assert outcomes == {"contradicted", "not decided", "holds"}


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (None, "30", "holds"),
        (None, "10", "contradicted"),
        (None, "20.2", "not decided"),
        (None, "19.8", "not decided"),
        ("10", None, "holds"),
        ("30", None, "contradicted"),
        ("20.2", None, "not decided"),
        ("19.8", None, "not decided"),
        ("10", "30", "holds"),
        ("30", "40", "contradicted"),
        ("0", "10", "contradicted"),
        ("19.9", "20.1", "not decided"),
        ("21", "22", "not decided"),
    ],
)
def test_regions_of_a_percentage(low: str | None, high: str | None, outcome: str) -> None:
    row = seeds(0.80, 0.81, 0.79)  # 20 ± 2.5 %
    assert judge(part("percent", between(low, high)), row, NONE).outcome == outcome


def test_a_region_with_two_ends_needs_two_one_sided_tests() -> None:
    row = seeds(0.80, 0.81, 0.79)
    reach = stats.t.ppf(0.95, 2) * 1 / 3**0.5
    for half, outcome in ((reach + 0.01, "holds"), (reach - 0.01, "not decided")):
        region = between(f"{20 - half:.4f}", f"{20 + half:.4f}")
        assert judge(part("percent", region), row, NONE).outcome == outcome


def test_the_same_training_is_the_same_number() -> None:
    row = seeds(0.3, 0.5, 0.4)
    assert judge(part("difference", THE_SAME), row, row).outcome == "holds"
    other = {seed: value + 0.1 + 0.01 * seed for seed, value in row.items()}
    assert judge(part("difference", THE_SAME), row, other).outcome == "contradicted"
    near = {seed: value + 0.1 * (seed - 1) for seed, value in row.items()}
    assert judge(part("difference", THE_SAME), row, near).outcome == "not decided"


def test_one_seed_decides_nothing() -> None:
    for region in (BETTER, THE_SAME, between("-1", "1"), between("0.5", None)):
        assert judge(part("difference", region), {0: 0.9}, {0: 1.0}).outcome == "not decided"


BASELINE = seeds(1.0, 1.1, 0.9)
A_LITTLE_WORSE = seeds(1.14, 1.25, 1.12)


def test_one_of_several_parts_contradicts_only_after_holm() -> None:
    """p = 0.02 contradicts a claim of two parts, and none of three."""
    row, baseline = A_LITTLE_WORSE, BASELINE
    pairs = [row[seed] - baseline[seed] for seed in row]
    p = stats.ttest_1samp(pairs, 0).pvalue
    assert 0.05 / 3 < p < 0.05 / 2
    tables = {"t": {"a": measured(row), "b": measured(baseline)}}
    claim = part("gain", BETTER)
    fine = part("gain", BETTER, direction="higher")
    outcomes = [
        [found.outcome for found in judge_measured([claim] + [fine] * more, tables)]
        for more in (0, 1, 2)
    ]
    assert outcomes == [
        ["contradicted"],
        ["contradicted", "holds"],
        ["not decided", "holds", "holds"],
    ]


def test_what_is_not_measured_yet_counts_in_the_family() -> None:
    tables = {"t": {"a": measured(A_LITTLE_WORSE), "b": measured(BASELINE)}}
    claim = part("gain", BETTER)
    missing = Part(quantity="gain", row=cell(row="later"), baseline=cell(row="b"), region=BETTER)
    found = judge_measured([claim, missing, missing], tables)
    assert [each.outcome for each in found] == ["not decided", "not run", "not run"]


def test_a_claim_that_is_true_is_rarely_contradicted() -> None:
    """Of six parts at the border, all together: without a correction it would be one in eight."""
    generator = np.random.default_rng(7)
    claims = 200
    wrong = 0
    for _ in range(claims):
        rows = {f"r{number}": measured(seeds(*generator.normal(size=4))) for number in range(6)} | {
            "b": measured(seeds(0.0, 0.0, 0.0, 0.0))
        }
        parts = [
            Part(quantity="gain", row=cell(row=f"r{number}"), baseline=cell(row="b"), region=BETTER)
            for number in range(6)
        ]
        wrong += "contradicted" in [found.outcome for found in judge_measured(parts, {"t": rows})]
    assert wrong / claims < 0.025 + 3 * (0.025 * 0.975 / claims) ** 0.5


def test_stated_numbers_are_compared_on_the_papers_data_alone() -> None:
    row = seeds(0.80, 0.81, 0.79)
    why = {"why_not_comparable": "measured on made curves"}
    for region in (stated("20"), between(None, "30"), between("10", "30")):
        found = judge(part("percent", region), row, NONE, **why)
        assert (found.outcome, found.reason) == ("not comparable", "measured on made curves")
        assert found.interval is not None
        assert found.interval.mean == pytest.approx(20)
    for region in (BETTER, THE_SAME):
        found = judge(part("gain", region), row, NONE, **why)
        assert found.outcome != "not comparable"
        assert found.reason == ""


def test_a_baseline_that_is_not_comparable_is_enough() -> None:
    tables = {"t": {"a": measured(NONE), "b": measured(NONE, why_not_comparable="another recipe")}}
    (found,) = judge_measured([part("percent", stated("0"))], tables)
    assert (found.outcome, found.reason) == ("not comparable", "another recipe")


@pytest.mark.parametrize(
    ("changes", "tables", "reason"),
    [
        ({"why_never_run": "has no recipe"}, {}, "t.a: has no recipe"),
        ({}, {}, "t was not planned"),
        ({}, {"t": {"b": measured(NONE)}}, "t was planned without the row 'a'"),
        ({}, {"t": {"a": measured({}), "b": measured(NONE)}}, "t.a.error was not run"),
        (
            {},
            {"t": {"a": measured({7: 1.0}), "b": measured(NONE)}},
            "t.a.error and t.b.error have no seed in common",
        ),
        (
            {"table": "u"},
            {"u": {"a": measured(NONE, evaluation="g")}, "t": {"b": measured(NONE)}},
            "u.a.error and t.b.error were planned with different evaluations; "  # noqa: ISC004
            "plan and run both tables again",
        ),
    ],
)
def test_what_is_not_run_says_why(changes: Any, tables: Any, reason: str) -> None:
    one = Part(quantity="gain", row=cell(row="a", **changes), baseline=cell(row="b"), region=BETTER)
    (found,) = judge_measured([one], tables)
    assert (found.outcome, found.reason, found.interval) == ("not run", reason, None)


def test_rows_of_one_table_may_have_other_things_to_evaluate() -> None:
    """A row with a 2D branch, or trained on more data, is evaluated by more code, or more data."""
    tables = {"t": {"a": measured(seeds(0.8, 0.9), evaluation="g"), "b": measured(NONE)}}
    (found,) = judge_measured([part("gain", BETTER)], tables)
    assert found.pairs


CODE = {"metrics": "1", EVALUATION_DATA: "2", "setting batch": "3"}


@pytest.mark.parametrize(
    ("contents", "test_set", "is_comparable"),
    [
        (CODE | {"reader of more data": "4", EVALUATION_DATA: "5"}, "t", True),
        (CODE | {"metrics": "4"}, "t", False),
        (CODE | {"setting batch": "4"}, "t", False),
        (CODE, "another", False),
        (CODE, "", False),
        (None, "t", False),
    ],
)
def test_rows_of_two_tables_compare_where_what_both_evaluations_have_is_the_same(
    contents: dict[str, str] | None, test_set: str, *, is_comparable: bool
) -> None:
    """The claim about YouTube-3D-Hands' videos compares a row of Table 8 with rows of Table 4."""
    one = Part(quantity="gain", row=cell(row="a", table="u"), baseline=cell(row="b"), region=BETTER)
    more = measured(seeds(0.8, 0.9), contents, test_set, evaluation="g")
    for pair in ((more, measured(NONE, CODE, "t")), (measured(NONE, CODE, "t"), more)):
        tables = {"u": {"a": pair[0]}, "t": {"b": pair[1]}}
        (found,) = judge_measured([one], tables)
        assert bool(found.pairs) == is_comparable


def test_two_sets_that_are_not_known_are_not_taken_for_one() -> None:
    rows = (measured(NONE, CODE, evaluation=name) for name in ("f", "g"))
    one = Part(quantity="gain", row=cell(row="a", table="u"), baseline=cell(row="b"), region=BETTER)
    tables = {"u": {"a": next(rows)}, "t": {"b": next(rows)}}
    (found,) = judge_measured([one], tables)
    assert found.outcome == "not run"


def test_percents_need_baselines_above_zero() -> None:
    found = judge(part("percent", between("1", None)), seeds(1.0, 1.0), seeds(0.0, -1.0))
    assert found.outcome == "not run"
