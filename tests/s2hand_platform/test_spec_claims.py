"""The file of claims: what is read, and every fault with its place and the nearest word."""

from pathlib import Path

import pytest
from tiny_experiment import TinyExperiment

from s2hand_platform.errors import SpecError
from s2hand_platform.spec.claims import LedgerSpec, load_claims

PRINTED = """
title = "P"
dataset = "curve"
version = "v1"
columns = [
  { label = "error_cm", metric = "test/error", unit = "cm" },
  { label = "score", metric = "test/score", unit = "1" },
]
[[rows]]
id = "flat"
label = "no curvature"
cells = ["1.54", "0.390"]
[[rows]]
id = "curved"
label = "curvature"
cells = ["1.24", "0.45"]
[[rows]]
id = "quoted"
label = "another paper's"
quoted = true
cells = ["1.3", ""]
"""
RECIPE = """
published = "tiny"
[[rows]]
id = "flat"
overrides = { curvature = false }
[[rows]]
id = "long"
label = "ours"
overrides = { epochs = 9 }
[[columns]]
label = "validation"
metric = "validation/error"
"""
CLAIM = """
[[claims]]
id = "a"
section = "4.1"
table = "tiny"
sentence = "paragraph 1, sentence 2"
says = "Curvature lowers the error by 19.5 %."
"""
RATIO = 'kind = "ratio", row = "tiny.curved", baseline = "tiny.flat", columns = ["error_cm"]'


@pytest.fixture(autouse=True)
def sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sweeps"
    for kind, text in (("published", PRINTED), ("tables", RECIPE)):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "tiny.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return folder


def load(text: str) -> LedgerSpec:
    Path("sweeps/claims.toml").write_text(text)
    return load_claims(TinyExperiment())


def of(*checks: str) -> str:
    return CLAIM + "checks = [" + ", ".join(f"{{ {check} }}" for check in checks) + "]\n"


def compared(spec: LedgerSpec, reading: str = "") -> list[tuple[str, str, str]]:
    return [
        (str(part.row), str(part.baseline), part.region.text)
        for part in spec.claims[0].readings[reading]
    ]


def test_a_claim_is_read() -> None:
    spec = load('notes = ["odd"]\n' + of(f'{RATIO}, is = "19.5"'))
    (claim,) = spec.claims
    assert (claim.id, claim.section, claim.table) == ("a", "4.1", "tiny")
    assert (spec.notes, spec.tables) == (("odd",), ("tiny",))
    (part,) = claim.readings[""]
    assert (str(part.row.printed), str(part.baseline.printed)) == ("1.24", "1.54")
    assert (part.quantity, part.unit, part.row.direction) == ("percent", "%", "lower")
    assert (str(part.region.low), str(part.region.high)) == ("19.45", "19.55")
    assert part.region.is_stated


def test_rows_run_through_columns_and_cells_name_their_own() -> None:
    order = 'kind = "order", rows = ["tiny.long", "tiny.curved", "tiny.flat"], columns = [{}]'
    spec = load(of(order.format('"score", "error_cm"')))
    assert compared(spec) == [
        ("tiny.long.score", "tiny.curved.score", "better"),
        ("tiny.long.error_cm", "tiny.curved.error_cm", "better"),
        ("tiny.curved.score", "tiny.flat.score", "better"),
        ("tiny.curved.error_cm", "tiny.flat.error_cm", "better"),
    ]
    spec = load(of('kind = "order", rows = ["tiny.flat.validation", "tiny.flat.error_cm"]'))
    assert compared(spec) == [("tiny.flat.validation", "tiny.flat.error_cm", "better")]


def test_the_best_is_better_than_each() -> None:
    best = 'kind = "best", row = "tiny.long", of = ["tiny.flat", "tiny.quoted"]'
    spec = load(of(best + ', columns = ["error_cm"]'))
    assert [pair[:2] for pair in compared(spec)] == [
        ("tiny.long.error_cm", "tiny.flat.error_cm"),
        ("tiny.long.error_cm", "tiny.quoted.error_cm"),
    ]


def test_what_is_claimed_of_a_quantity() -> None:
    two = 'row = "tiny.curved.score", baseline = "tiny.flat.score"'
    spec = load(
        of(
            f'kind = "difference", {two}, is = "-0.05"',
            f'kind = "difference", {two}, above = "0.010"',
            f'kind = "ratio", {two}, below = "1"',
            f'kind = "within", {two}, by = "0.02"',
            f'kind = "within", {two}, by = "0"',
            'kind = "order", rows = ["tiny.curved.score", "tiny.flat.score"]',
        )
    )
    found = [
        (
            part.quantity,
            part.unit,
            part.region.text,
            *(
                None if bound is None else float(bound)
                for bound in (part.region.low, part.region.high)
            ),
            part.region.names_a_number,
        )
        for part in spec.claims[0].readings[""]
    ]
    assert found == [
        ("difference", "", "-0.05", -0.055, -0.045, True),
        ("difference", "", "above 0.010", 0.01, None, True),
        ("percent", "%", "below 1", None, 1, True),
        ("difference", "", "within 0.02", -0.02, 0.02, True),
        ("difference", "", "the same", 0, 0, False),
        ("gain", "", "better", 0, None, False),
    ]


def test_a_row_says_why_it_is_never_run() -> None:
    best = 'kind = "best", row = "tiny.flat", of = ["tiny.long", "tiny.curved", "tiny.quoted"]'
    spec = load(of(best + ', columns = ["error_cm"]'))
    assert [part.baseline.why_never_run for part in spec.claims[0].readings[""]] == [
        "",
        "has no recipe",
        "quoted by the paper from another publication",
    ]
    assert spec.claims[0].readings[""][0].baseline.printed is None


def test_readings_are_kept_apart() -> None:
    spec = load(
        of(f'{RATIO}, is = "19.5", reading = "one"', f'{RATIO}, is = "20", reading = "two"')
    )
    assert [text for *_, text in compared(spec, "one")] == ["19.5"]
    assert [text for *_, text in compared(spec, "two")] == ["20"]


def test_a_printed_table_without_a_recipe_has_cells(sweeps: Path) -> None:
    (sweeps / "published" / "only.toml").write_text(PRINTED)
    spec = load(of('kind = "order", rows = ["only.curved", "only.flat"], columns = ["score"]'))
    assert spec.claims[0].readings[""][0].row.why_never_run == "has no recipe"


EITHER = "must have either checks, or the reason why it is not_checkable"
NO_CELL = "must be 'table.row.column', or 'table.row' where columns are named"
NOWHERE = (
    "the paper prints nothing in 'tiny.quoted.score', and no recipe measures it; name another cell"
)
UNLIKE = (
    "must compare like with like, got 'tiny.flat.score' in 1 (higher is better) and "
    "'tiny.flat.error_cm' in cm (lower is better)"
)
EIGHT = "one two three four five six seven eight"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "claims: is missing"),
        ("claims = []", "claims: must have at least one entry, got none"),
        (
            'note = ["x"]\n' + of(f'{RATIO}, is = "1"'),
            "note: unknown key 'note'; did you mean 'notes'?",
        ),
        (CLAIM, f"claims[0]: {EITHER}; got neither"),
        (
            of(f'{RATIO}, is = "1"') + 'not_checkable = "no"',
            f"claims[0]: {EITHER}; got both",
        ),
        (CLAIM + "checks = []", "claims[0].checks: must have at least one entry, got none"),
        (
            of(f'{RATIO}, is = "1"') * 2,
            "claims: the id 'a' stands 2 times, must be once",
        ),
        (
            of(f'{RATIO}, is = "1"') + f'quote = "{EIGHT} nine"',
            "claims[0].quote: must be at most 8 words, got 9; say the rest in words of your own",
        ),
        (
            of(f'{RATIO}, is = "1"').replace('table = "tiny"', 'table = "tini"'),
            "claims[0].table: unknown table 'tini'; did you mean 'tiny'?",
        ),
        (
            of(f'{RATIO}, is = "1"').replace("tiny.curved", "tini.curved"),
            "claims[0].checks[0].row: unknown table 'tini'; did you mean 'tiny'?",
        ),
        (
            of(f'{RATIO}, is = "1"').replace("tiny.curved", "tiny.curve"),
            "claims[0].checks[0].row: unknown row of tiny 'curve'; did you mean 'curved'?",
        ),
        (
            of(f'{RATIO}, is = "1"').replace('"error_cm"', '"score", "eror_cm"'),
            "claims[0].checks[0].row: unknown column of tiny 'eror_cm'; did you mean 'error_cm'?",
        ),
        (
            of('kind = "order", rows = ["tiny.quoted", "tiny.flat"], columns = ["score"]'),
            f"claims[0].checks[0].rows: {NOWHERE}",
        ),
        (
            of('kind = "order", rows = ["tiny.curved.score", "tiny.flat"]'),
            f"claims[0].checks[0].rows: {NO_CELL}, got 'tiny.flat'",
        ),
        (
            of('kind = "order", rows = ["tiny.flat.score", "tiny.flat.error_cm"]'),
            f"claims[0].checks[0].rows: {UNLIKE}",
        ),
        (
            of('kind = "order", rows = ["tiny.flat.score"]'),
            "claims[0].checks[0].rows: must name at least 2, got 1",
        ),
        (
            of('kind = "best", row = "tiny.flat.score"'),
            "claims[0].checks[0].of: must name at least 1, got 0",
        ),
        (of(RATIO), "claims[0].checks[0]: must have one of 'is', 'below', 'above', got none"),
        (
            of(f'{RATIO}, is = "1", above = "2"'),
            "claims[0].checks[0]: must have one of 'is', 'below', 'above', got 'is', 'above'",
        ),
        (
            of(f'{RATIO}, is = "1.2 %"'),
            "claims[0].checks[0].is: expected a printed number such as '1.10', got '1.2 %'",
        ),
        (of(f"{RATIO}, is = 1.2"), "claims[0].checks[0].is: must be text, got 1.2"),
        (
            of(f'{RATIO}, by = "-1"').replace("ratio", "within"),
            "claims[0].checks[0].by: must be at least 0, got -1",
        ),
        (
            of(f'{RATIO}, is = "1"').replace("ratio", "ration"),
            "claims[0].checks[0].kind: unknown value 'ration'; did you mean 'ratio'?",
        ),
        (
            of(f'{RATIO}, is = "1", by = "2"'),
            "claims[0].checks[0].by: unknown key 'by'; ",
        ),
        (
            of(f'{RATIO}, is = "1"', f'{RATIO}, is = "2", reading = "two"'),
            "claims[0].checks: must have a reading each, or none; some have, some have not",
        ),
    ],
)  # fmt: skip
def test_faults_are_told_with_their_place(text: str, fault: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(text)
    (found,) = caught.value.faults
    assert found.startswith(f"claims.toml: {fault}")


def test_eight_words_are_not_too_many() -> None:
    assert load(of(f'{RATIO}, is = "1"') + f'quote = "{EIGHT}"').claims[0].quote == EIGHT


def test_all_faults_are_told_at_once() -> None:
    bad = of(f'{RATIO}, is = "x"').replace("tiny.curved", "tiny.curve").replace('id = "a"', "")
    with pytest.raises(SpecError) as caught:
        load(bad)
    places = [fault.split(": ")[1] for fault in caught.value.faults]
    assert places == ["claims[0].id", "claims[0].checks[0].is", "claims[0].checks[0].row"]


def test_the_faults_of_a_table_are_told_once(sweeps: Path) -> None:
    (sweeps / "tables" / "tiny.toml").write_text(RECIPE.replace("epochs = 9", "epochs = 0"))
    with pytest.raises(SpecError) as caught:
        load(of(f'{RATIO}, is = "1"', f'{RATIO}, is = "2"'))
    (fault,) = caught.value.faults
    assert fault.startswith("claims.toml: claims[0].checks[0].row: tiny.toml: row 'long': epochs")


def test_the_users_own_claims_come_first_and_the_projects_otherwise() -> None:
    assert len(load(of(f'{RATIO}, is = "1"')).claims) == 1
    Path("sweeps/claims.toml").unlink()
    with pytest.raises(SpecError, match=r"claims.toml: claims\[0\]"):
        load_claims(TinyExperiment())  # the project's are of S2HAND's tables
