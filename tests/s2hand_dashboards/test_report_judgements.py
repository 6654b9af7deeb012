"""Claims and power on a page, beside what the platform's own commands say."""

from pathlib import Path

import pytest
from made_store import write_table
from page_text import Element, parse

from s2hand_dashboards import report
from s2hand_platform.runs.power import table_power
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tables.power_layout import needed_grid
from s2hand_platform.workspace import Workspace

CLAIMS = """
[[claims]]
id = "helps"
section = "4.1"
sentence = "paragraph 2"
says = "Curvature <helps>."
quote = "so it does"
checks = [{ kind = "order", rows = ["tiny.full", "tiny.straight"], columns = ["error_cm"] }]
[[claims]]
id = "harms"
section = "4.1"
sentence = ""
says = "Curvature does harm."
checks = [{ kind = "order", rows = ["tiny.straight.error_cm", "tiny.full.error_cm"] }]
[[claims]]
id = "elsewhere"
section = "4.2"
sentence = ""
says = "Of another table."
checks = [{ kind = "order", rows = ["other.straight.error_cm", "other.full.error_cm"] }]
[[claims]]
id = "curves"
section = "4.3"
sentence = ""
table = "tiny"
says = "Curves cross."
not_checkable = "No value of a curve is printed."
"""
PRINTED = """
title = "Noise"
dataset = "curve"
version = "v1"
columns = [{ label = "error_cm", metric = "test/error", unit = "cm" }]
[[rows]]
id = "full"
label = "with curvature"
cells = ["1.10"]
[[rows]]
id = "straight"
label = "no curvature"
cells = ["1.13"]
"""
RECIPE = """
published = "tiny"
[[rows]]
id = "full"
[[rows]]
id = "straight"
overrides = { curvature = false }
"""
UNDECIDED = {"full": (1.0, 1.2, 1.1), "straight": (1.1, 1.0, 1.3)}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one's own, with claims about the table that the store has."""
    contents = {
        "claims.toml": CLAIMS, "published/tiny.toml": PRINTED, "published/other.toml": PRINTED,
        "tables/tiny.toml": RECIPE,
    }  # fmt: skip
    for name, text in contents.items():
        path = tmp_path / "sweeps" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "s2hand_platform"))
    monkeypatch.setenv("S2HAND_EXPERIMENT", "tiny_experiment:TinyExperiment")
    return tmp_path


def section(store: ResultStore, title: str) -> Element | None:
    """Make the page, and return what stands under a heading of it."""
    target = store.path.parent / "page.html"
    report("tiny", target, workspace=store.path.parent)
    found = [
        each
        for each in parse(target.read_text(encoding="utf-8")).all("section")
        if title in [head.text for head in each.all("h2")]
    ]
    return found[0] if found else None


def lines(part: Element | None) -> list[list[str]]:
    assert part is not None
    return [
        [each.text for each in line.children if isinstance(each, Element)]
        for line in part.one("tbody").all("tr")
    ]


CLAIMED = "The paper's sentences about it"
POWER = "What would decide the undecided"


@pytest.mark.usefixtures("project")
def test_the_claims_that_cells_of_the_table_decide(measured: ResultStore) -> None:
    helps, harms = lines(section(measured, CLAIMED))
    # Printed 1.10 and 1.13: 0.02 to 0.04 apart. Measured pairs 0.5, 0.4, 0.6; t(2) = 8.7.
    assert helps == [
        "Curvature <helps>. “so it does” helps: section 4.1, paragraph 2",
        "holds full to straight, error_cm: +0.03 cm (+0.020 to +0.040)",
        "holds full to straight, error_cm: +0.50 ± 0.25 (3) cm",
    ]
    assert harms[0] == "Curvature does harm. harms: section 4.1"
    assert [each.split()[0] for each in harms[1:]] == ["contradicted", "contradicted"]


def test_claims_that_cannot_be_read_are_told(project: Path, measured: ResultStore) -> None:
    text = CLAIMS.replace("tiny.full.error_cm", "tiny.ful.error_cm")
    (project / "sweeps" / "claims.toml").write_text(text)
    part = section(measured, CLAIMED)
    assert part is not None
    assert "They cannot be read: " in part.text
    assert "did you mean 'full'?" in part.text


def test_without_claims_about_it_there_is_no_word_of_them(measured: ResultStore) -> None:
    """Nor is an experiment asked for, which the store alone does not need."""
    assert section(measured, CLAIMED) is None


def test_what_is_undecided_names_the_seeds_that_would_decide(store: ResultStore) -> None:
    write_table(store, errors=UNDECIDED)
    (line,) = lines(section(store, POWER))
    assert line[0] == "no curvature worse than with curvature"
    found = table_power(
        Workspace(store.path.parent), "tiny", effect="published", seeds=range(3, 21)
    )
    told = needed_grid(found).rows[0]
    assert line[1:] == [f"{each.text} {each.aside}".strip() for each in told[1:]]
    assert line[4].startswith("more than 20")


def test_what_is_decided_needs_no_plan(measured: ResultStore) -> None:
    assert section(measured, POWER) is None


def test_of_one_seed_no_spread_is_known(store: ResultStore) -> None:
    write_table(store, errors={name: values[:1] for name, values in UNDECIDED.items()})
    assert section(store, POWER) is None
