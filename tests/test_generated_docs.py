"""What README and docs say was measured is what the committed export of the store holds."""

import re
from pathlib import Path

import pytest

from tools.results import (
    DOCUMENTS,
    PAGE,
    RESULTS,
    ROOT,
    TABLES,
    exported,
    measured,
    rewritten,
    write_page,
)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_measured_parts_are_those_of_the_export(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "<!-- measured: " in text
    assert rewritten(text) == text, "run: python -m tools.results"


def test_the_page_is_that_of_the_export(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html")
    same = (tmp_path / "page.html").read_bytes() == PAGE.read_bytes()
    assert same, "run: python -m tools.results"


@pytest.mark.parametrize("name", TABLES)
def test_every_table_of_the_export_has_results(name: str) -> None:
    table = measured(name)
    rows = [row for row in table.rows if row.kind == "measured" and row.trial_ids]
    assert len(rows) >= 2
    assert any(contrast.difference is not None for contrast in table.contrasts)


def test_a_changed_number_is_noticed() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = text.partition("<!-- measured: ")[2]
    number = re.search(r"\d\.\d+ ±", part)
    assert number is not None
    changed = text.replace(number[0], f"9{number[0]}")
    assert rewritten(changed) == text


def test_marks_must_name_a_table() -> None:
    with pytest.raises(KeyError):
        rewritten("<!-- measured: table99 -->\n<!-- end of table99 -->")


def test_the_export_is_small() -> None:
    files = [path for path in Path(RESULTS).rglob("*") if path.is_file()]
    assert files
    assert sum(path.stat().st_size for path in files) < 3_000_000


def test_the_export_names_no_folder_of_a_machine() -> None:
    store = exported()
    for plan in (store.latest_table_plan(name, label=label) for name, label in TABLES.values()):
        assert plan is not None
        for row in plan.rows:
            texts = [value for value in row.settings.values() if isinstance(value, str)]
            assert not [text for text in texts if text.startswith("/")]
    for config in exported().trials()["config_json"]:
        assert '"/' not in config
