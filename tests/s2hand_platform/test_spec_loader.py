from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_experiment import TinyExperiment

from s2hand_platform.errors import SpecError
from s2hand_platform.spec import files
from s2hand_platform.spec.expansion import expand_table, grid_points
from s2hand_platform.spec.loader import load_scale, load_sweep, load_table
from s2hand_platform.spec.schema import Choices, LogUniform, Uniform

TABLE = """
title = "T"
dataset = "curve"
primary_column = "error_cm"
tolerances = { error_cm = 0.25 }
[base]
epochs = 8
[[rows]]
label = "Full model"
[[rows]]
id = "straight"
label = "no curvature"
overrides = { curvature = false, "points.noise" = 0.2 }
[[columns]]
label = "error_cm"
metric = "test/error"
[[contrasts]]
row = "straight"
baseline = "full_model"
expected = "worse"
"""

SWEEP = """
title = "S"
dataset = "curve"
search = "optuna"
scheduler = "asha"
metric = "validation/error"
mode = "min"
num_trials = 5
[space]
learning_rate = { log_uniform = [1e-3, 1.0] }
points.noise = { uniform = [0, 1] }
epochs = [2, 4]
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_recipe(text: str, name: str = "mine.toml", **replaced: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_recipe


def faults_of(load: Callable[..., object], *arguments: object) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(*arguments)
    return caught.value.faults


def test_a_table_is_read(write: Write, tiny: TinyExperiment) -> None:
    spec = load_table(write(TABLE), tiny)
    assert (spec.name, spec.title, spec.dataset) == ("mine", "T", "curve")
    assert spec.base == {"epochs": 8}
    assert [row.dataset for row in spec.rows] == ["curve", "curve"]
    assert [row.id for row in spec.rows] == ["full_model", "straight"]
    assert spec.rows[1].overrides == {"curvature": False, "points.noise": 0.2}
    assert spec.contrasts[0].columns == ("error_cm",)
    assert (spec.primary_column, spec.columns[0].tolerance) == ("error_cm", 0.25)
    assert spec.published is None


NOT_PRIMARY = "must hold the primary column 'error_cm', which decides the contrast; got score"
SCORE = '[[columns]]\nlabel = "score"\nmetric = "test/score"\n'


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('primary_column = "error_cm"\n', "", "primary_column: is missing"),
        (
            'primary_column = "error_cm"',
            'primary_column = "eror_cm"',
            "primary_column: unknown column 'eror_cm'; did you mean 'error_cm'?",
        ),
        (
            'expected = "worse"',
            'columns = ["score"]\nexpected = "worse"\n' + SCORE,
            f"contrasts[0].columns: {NOT_PRIMARY}",
        ),
        (
            "error_cm = 0.25",
            "eror_cm = 0.25",
            "tolerances: unknown column 'eror_cm'; did you mean 'error_cm'?",
        ),
        ("0.25", "-0.25", "tolerances.error_cm: must be above 0, got -0.25"),
        ("0.25", "true", "tolerances.error_cm: must be above 0, got True"),
        ("0.25", "9" * 400, f"tolerances.error_cm: must be above 0, got {'9' * 400}"),
    ],
)
def test_what_decides_contrasts_is_checked(
    write: Write, tiny: TinyExperiment, before: str, after: str, fault: str
) -> None:
    assert before in TABLE
    found = faults_of(load_table, write(TABLE.replace(before, after)), tiny)
    assert found == [f"mine.toml: {fault}"]


def test_rows_expand_to_whole_configurations(write: Write, tiny: TinyExperiment) -> None:
    table = load_table(write(TABLE), tiny)
    rows = expand_table(table.over_rows(lambda row: {"points.source": f"/{row.dataset}"}), tiny)
    assert [row.config.curvature for row in rows] == [True, False]
    assert [row.config.points.noise for row in rows] == [0.1, 0.2]
    assert {row.dump["points"]["source"] for row in rows} == {"/curve"}


def test_nested_and_dotted_overrides_are_the_same(write: Write, tiny: TinyExperiment) -> None:
    dotted = load_table(write(TABLE), tiny)
    nested = load_table(write(TABLE.replace('"points.noise" = 0.2', "points.noise = 0.2")), tiny)
    assert nested == dotted


def test_all_faults_at_once_with_the_nearest_word(write: Write, tiny: TinyExperiment) -> None:
    text = (
        TABLE.replace("title", "titel")
        .replace("epochs = 8", "epoch = 8")
        .replace('label = "no curvature"', 'lable = "no curvature"')
        .replace("curvature = false", "curvatur = false")
        .replace("test/error", "test/eror")
        .replace('baseline = "full_model"', 'baseline = "full_modell"')
        .replace('"worse"', '"wrose"')
    )
    assert faults_of(load_table, write(text), tiny) == [
        "mine.toml: titel: unknown key 'titel'; did you mean 'title'?",
        "mine.toml: columns[0].metric: unknown metric 'eror'; did you mean 'error'?",
        "mine.toml: title: is missing",
        "mine.toml: rows[1].lable: unknown key 'lable'; did you mean 'label'?",
        "mine.toml: rows[1].label: is missing",
        "mine.toml: contrasts[0].baseline: unknown row 'full_modell'; did you mean 'full_model'?",
        "mine.toml: contrasts[0].expected: unknown value 'wrose'; did you mean 'worse'?",
        "mine.toml: in every row: epoch: unknown key 'epoch'; did you mean 'epochs'?",
        "mine.toml: row 'straight': curvatur: unknown key 'curvatur'; did you mean 'curvature'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('dataset = "curve"', 'dataset = "curv"', "in every row: points.truth: must be 'line'"),
        ('id = "straight"', 'id = "full_model"', "rows: the id 'full_model' stands 2 times"),
        ("test/error", "error", "columns[0].metric: must be 'split/metric' such as 'test/error'"),
        ('title = "T"', "title = 3", "title: must be text, got 3"),
        ("[base]\nepochs = 8", "base = 8", "base: must be a table, got 8"),
        ('label = "Full model"', 'label = "F"\ncomparable = 1', "must be true or false, got 1"),
        ('expected = "worse"', 'expected = "worse"\ncolumns = [1]', "must hold texts only, got 1"),
    ],
)
def test_single_faults(write: Write, tiny: TinyExperiment, old: str, new: str, fault: str) -> None:
    assert old in TABLE
    faults = faults_of(load_table, write(TABLE.replace(old, new)), tiny)
    assert any(fault in found for found in faults), faults


def test_a_table_needs_rows_and_columns(write: Write, tiny: TinyExperiment) -> None:
    faults = faults_of(load_table, write('title = "T"\ndataset = "curve"\nrows = []'), tiny)
    assert faults == [
        "mine.toml: columns: is missing",
        "mine.toml: rows: must have at least one entry, got none",
    ]


def test_bad_toml_gives_the_line(write: Write, tiny: TinyExperiment) -> None:
    (fault,) = faults_of(load_table, write('title = "T"\ndataset = curve\n'), tiny)
    assert fault.startswith("mine.toml: expected TOML, but Invalid value (at line 2,")


def test_a_byte_order_mark_is_no_fault(write: Write, tiny: TinyExperiment) -> None:
    path = write(TABLE)
    before = load_table(path, tiny)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_table(path, tiny) == before


@pytest.mark.parametrize(
    ("value", "place", "shown"),
    [
        ("2024-05-01", "base.noted", "2024-05-01"),
        ("[1, 2024-05-01T12:00:00Z]", "base.noted[1]", "2024-05-01 12:00:00+00:00"),
        ("{ at = 12:00:00 }", "base.noted.at", "12:00:00"),
    ],
)
def test_dates_and_times_are_refused_by_their_place(
    write: Write, tiny: TinyExperiment, value: str, place: str, shown: str
) -> None:
    path = write(TABLE.replace("[base]", f"[base]\nnoted = {value}"))
    (fault,) = faults_of(load_table, path, tiny)
    assert fault == (
        f"mine.toml: {place}: no setting is a date or a time, got {shown}; write it as text"
    )


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_numbers_that_are_not_finite_are_refused_by_their_place(
    write: Write, tiny: TinyExperiment, value: str
) -> None:
    path = write(TABLE.replace("[base]", f"[base]\nlearning_rate = {value}\nmore = [1, {value}]"))
    assert faults_of(load_table, path, tiny) == [
        f"mine.toml: base.{place}: a number must be finite, got {value}"
        for place in ("learning_rate", "more[1]")
    ]


def test_a_recipe_that_is_nested_without_end_is_no_recipe(
    write: Write, tiny: TinyExperiment
) -> None:
    (fault,) = faults_of(load_table, write(f"title = {'[' * 100_000}"), tiny)
    assert fault.startswith("mine.toml: expected TOML, but ")


def test_an_unknown_recipe_gives_the_nearest_and_those_there_are(
    tiny: TinyExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fault,) = faults_of(load_table, "tabel4", tiny)
    recipes = f"(recipes here: {', '.join(files.names('tables'))})"
    assert fault == f"sweeps/tables has no recipe 'tabel4'; did you mean 'table4'? {recipes}"
    (fault,) = faults_of(load_table, "quaternion", tiny)
    assert fault == f"sweeps/tables has no recipe 'quaternion'; sweeps/searches has one {recipes}"
    (fault,) = faults_of(load_sweep, "table4", tiny)
    searches = "(recipes here: loss_weights, quaternion)"
    assert fault == f"sweeps/searches has no recipe 'table4'; sweeps/tables has one {searches}"
    (fault,) = faults_of(load_sweep, "nothing", tiny)
    assert fault == "sweeps/searches has no recipe 'nothing'; known here: loss_weights, quaternion"
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        own = tmp_path / "sweeps" / "published" / "table77.toml"
        own.parent.mkdir(parents=True)
        own.write_text("")
        (fault,) = faults_of(load_table, "table77", tiny)
        assert fault == (
            "sweeps/tables has no recipe 'table77'; only what the paper prints of it is known "
            f"{recipes}"
        )
    (fault,) = faults_of(load_table, "nowhere/table4.toml", tiny)
    assert fault.startswith("nowhere/table4.toml: no such file")


@pytest.mark.parametrize("given", ["table4", "sweeps/tables/table4.toml"])
def test_a_broken_link_in_a_recipes_place_is_told(
    tiny: TinyExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "sweeps" / "tables" / "table4.toml"
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "gone.toml")
    (fault,) = faults_of(load_table, given, tiny)
    told = f"must be a recipe, there is a symbolic link to {tmp_path / 'gone.toml'}, which does not"
    assert told in fault
    place.unlink()
    place.mkdir()
    (fault,) = faults_of(load_table, given, tiny)
    assert fault.endswith("table4.toml: must be a recipe, there is a folder")


def test_recipes_of_the_working_folder_come_first(
    write: Write, tiny: TinyExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(TABLE, "sweeps/tables/table4.toml")
    write(SWEEP, "sweeps/searches/mine.toml")
    monkeypatch.chdir(tmp_path)
    assert load_table("table4", tiny).title == "T"
    assert load_sweep("mine", tiny).title == "S"
    assert {"mine", "loss_weights"} < set(files.names("searches"))


PUBLISHED = """
title = "P"
dataset = "curve"
version = "v1"
direction = "d"
columns = [{ label = "error_cm", metric = "test/error", unit = "cm" }]
[[rows]]
id = "straight"
label = "no curvature"
cells = ["1.10"]
[[rows]]
id = "later"
label = "another paper's"
quoted = true
cells = ["1.3"]
"""
OF_PUBLISHED = """
published = "p"
[[rows]]
id = "straight"
overrides = { curvature = false }
"""


def test_what_is_printed_is_not_repeated(write: Write, tiny: TinyExperiment) -> None:
    write(PUBLISHED, "published/p.toml")
    spec = load_table(write(OF_PUBLISHED, "tables/mine.toml"), tiny)
    assert (spec.title, spec.dataset) == ("P", "curve")
    assert [(row.id, row.label) for row in spec.rows] == [("straight", "no curvature")]
    assert [(column.label, column.metric) for column in spec.columns] == [
        ("error_cm", "test/error")
    ]
    assert spec.published is not None
    cell = spec.published.cell("straight", "error_cm")
    assert cell is not None
    assert (str(cell), cell.half_width) == ("1.10", 0.005)
    assert spec.published.cell("later", "other") is None
    assert spec.published.cell("nowhere", "error_cm") is None


def test_rows_name_the_release_that_they_are_printed_for(
    write: Write, tiny: TinyExperiment
) -> None:
    write(PUBLISHED.replace('"later"', '"later"\nversion = "v2"'), "published/p.toml")
    spec = load_table(write(OF_PUBLISHED, "tables/mine.toml"), tiny)
    assert spec.published is not None
    assert [str(row.measured_on) for row in spec.published.rows] == ["curve v1", "curve v2"]


def test_printed_rows_are_trained_on_what_they_are_printed_for(
    write: Write, tiny: TinyExperiment
) -> None:
    moved = PUBLISHED.replace('id = "straight"', 'id = "straight"\ndataset = "line"')
    write(moved, "published/p.toml")
    (row,) = expand_table(load_table(write(OF_PUBLISHED, "tables/mine.toml"), tiny), tiny)
    assert row.config.points.truth == "line"


def test_a_recipe_adds_rows_and_columns_of_its_own(write: Write, tiny: TinyExperiment) -> None:
    write(PUBLISHED, "published/p.toml")
    own = (
        '[[rows]]\nid = "full"\nlabel = "with curvature"\n'
        '[[columns]]\nlabel = "score"\nmetric = "test/score"\n'
    )
    spec = load_table(write(OF_PUBLISHED + own, "tables/mine.toml"), tiny)
    assert [row.label for row in spec.rows] == ["no curvature", "with curvature"]
    assert [column.label for column in spec.columns] == ["error_cm", "score"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('title = "T"\n' + OF_PUBLISHED, "title: stands in published/p.toml; remove this key"),
        ('dataset = "x"\n' + OF_PUBLISHED, "dataset: stands in published/p.toml; remove this key"),
        (
            OF_PUBLISHED + 'label = "straight"\n',
            "rows[0].label: stands in published/p.toml; remove this key",
        ),
        (
            OF_PUBLISHED + 'dataset = "line"\n',
            "rows[0].dataset: stands in published/p.toml; remove this key",
        ),
        (
            OF_PUBLISHED.replace('"straight"', '"later"'),
            "rows[0].id: 'later' is quoted from another publication, and cannot be run; "  # noqa: ISC004
            "remove this row",
        ),
        (
            OF_PUBLISHED.replace('"straight"', '"straigth"'),
            "rows[0].id: unknown row 'straigth'; did you mean 'straight'?",
        ),
        (
            OF_PUBLISHED + '[[columns]]\nlabel = "error_cm"\nmetric = "test/error"\n',
            "columns: the label 'error_cm' stands 2 times, must be once",
        ),
    ],
)
def test_repetitions_and_strangers_are_faults(
    write: Write, tiny: TinyExperiment, text: str, fault: str
) -> None:
    write(PUBLISHED, "published/p.toml")
    assert faults_of(load_table, write(text, "tables/mine.toml"), tiny) == [f"mine.toml: {fault}"]


def test_printed_units_are_the_experiments(write: Write, tiny: TinyExperiment) -> None:
    write(PUBLISHED.replace('unit = "cm"', 'unit = "mm"'), "published/p.toml")
    (fault,) = faults_of(load_table, write(OF_PUBLISHED, "tables/mine.toml"), tiny)
    assert fault == (
        "mine.toml: published: the column 'error_cm' must have the unit of 'test/error', 'cm', "
        "got 'mm'"
    )


def test_faults_of_published_cells_are_told(write: Write, tiny: TinyExperiment) -> None:
    write(
        PUBLISHED.replace('"1.10"', '"1.1x"')
        .replace('cells = ["1.3"]', "cells = []")
        .replace('"later"', '"straight"'),
        "published/p.toml",
    )
    faults = faults_of(load_table, write(OF_PUBLISHED, "tables/mine.toml"), tiny)
    prefix = "mine.toml: published: published/p.toml"
    assert faults == [
        f"{prefix}: rows[0].cells: expected a printed number such as '1.10', got '1.1x'",
        f"{prefix}: rows[1].cells: must be one per column (1), '' where nothing is printed; got 0",
        f"{prefix}: rows: the id 'straight' stands 2 times, must be once",
    ]


def test_a_sweep_is_read(write: Write, tiny: TinyExperiment) -> None:
    spec = load_sweep(write(SWEEP), tiny)
    assert spec.space == {
        "learning_rate": LogUniform(low=1e-3, high=1.0),
        "points.noise": Uniform(low=0.0, high=1.0),
        "epochs": Choices(values=(2, 4)),
    }
    assert (spec.search, spec.scheduler, spec.mode, spec.num_trials) == ("optuna", "asha", "min", 5)
    assert list(spec.axes.values()) == ["learning_rate", "noise", "epochs"]
    both = replace(spec, space={"a.rate": Choices(values=(1,)), "b.rate": Choices(values=(1,))})
    assert list(both.axes.values()) == ["a.rate", "b.rate"]
    point = {"learning_rate": 0.123456, "points.noise": 0.5, "epochs": 4}
    assert spec.describe(point) == "learning_rate=0.1235, noise=0.5, epochs=4"


def test_a_sweep_knows_what_the_paper_chose(write: Write, tiny: TinyExperiment) -> None:
    text = SWEEP + "[paper.theirs]\nlearning_rate = 0.1\npoints.noise = 0.5\nepochs = 4\n"
    chosen = {"learning_rate": 0.1, "points.noise": 0.5, "epochs": 4}
    assert load_sweep(write(text), tiny).paper == {"theirs": chosen}
    assert load_sweep(write(SWEEP), tiny).paper == {}
    fault = (
        "mine.toml: paper.theirs: must give a value to each of learning_rate, points.noise, "
        "epochs, got "
    )
    for less in ("epochs = 4\n", "points.noise = 0.5\n"):
        (found,) = faults_of(load_sweep, write(text.replace(less, "")), tiny)
        assert found.startswith(fault)
    assert faults_of(load_sweep, write(SWEEP + "[paper]\ntheirs = 3\n"), tiny) == [f"{fault}3"]


def test_a_grid_has_the_size_of_its_space(write: Write, tiny: TinyExperiment) -> None:
    text = (
        'title = "S"\ndataset = "curve"\nsearch = "grid"\nmetric = "test/error"\nmode = "min"\n'
        '[space]\nepochs = [2, 4, 8]\n"points.noise" = [0.0, 0.5]\n'
    )
    spec = load_sweep(write(text), tiny)
    assert (spec.scheduler, spec.num_trials) == ("none", 6)
    assert grid_points(spec)[:2] == (
        {"epochs": 2, "points.noise": 0.0},
        {"epochs": 2, "points.noise": 0.5},
    )


def test_faults_of_a_sweep(write: Write, tiny: TinyExperiment) -> None:
    text = (
        SWEEP.replace("log_uniform = [1e-3, 1.0]", "log_uniform = [0, 1.0]")
        .replace("epochs = [2, 4]", "epochs = [2, 0]\nepoch = [1]")
        .replace('"optuna"', '"grid"')
        .replace('"min"', '"minimum"')
    )
    assert faults_of(load_sweep, write(text), tiny) == [
        (
            "mine.toml: space.learning_rate: must be a list of values, or { log_uniform = [low, "
            "high] } with 0 < low < high, or { uniform = [low, high] }, "
            "got {'log_uniform': [0, 1.0]}"
        ),
        "mine.toml: mode: unknown value 'minimum'; did you mean 'min'?",
        "mine.toml: num_trials: a grid has the size of its space; remove this key",
        "mine.toml: space.points.noise: a grid needs a list of values",
        "mine.toml: epoch: unknown key 'epoch'; did you mean 'epochs'?",
        "mine.toml: epochs: must be at least 1, got 0",
    ]


SCALE = """
title = "s"
seeds = 3
notes = ["Eight epochs are too many."]
[base]
epochs = 2
"""


def test_recipes_take_base_and_notes_of_a_scale(write: Write, tiny: TinyExperiment) -> None:
    scale = load_scale(write(SCALE, "tenth.toml"), tiny)
    notes = 'notes = ["Own."]\n'
    for spec in (load_table(write(notes + TABLE), tiny), load_sweep(write(notes + SWEEP), tiny)):
        assert spec.notes == ("Own.",)
        assert spec.at(scale).notes == ("Own.", "Eight epochs are too many.")
        assert spec.at(scale).base["epochs"] == 2


def test_rows_that_contradict_what_a_scale_fixes_go(write: Write, tiny: TinyExperiment) -> None:
    scale = load_scale(write(SCALE + "[fixed]\npoints.noise = 0.3\n", "tenth.toml"), tiny)
    table = load_table(write(TABLE), tiny).at(scale)
    assert [row.id for row in table.rows] == ["full_model"]  # the other one sets 0.2
    assert table.contrasts == ()
    (row,) = expand_table(table, tiny)
    assert row.config.points.noise == 0.3
    kept = load_table(write(TABLE.replace('"points.noise" = 0.2', '"points.noise" = 0.3')), tiny)
    assert len(kept.at(scale).rows) == 2
    assert kept.at(scale).contrasts == kept.contrasts


def test_a_search_cannot_vary_what_a_scale_fixes(write: Write, tiny: TinyExperiment) -> None:
    scale = load_scale(write(SCALE + "[fixed]\npoints.noise = 0.3\n", "tenth.toml"), tiny)
    assert faults_of(load_sweep(write(SWEEP), tiny).at, scale) == [
        "mine: space.points.noise: the scale 'tenth' fixes it to 0.3; choose another scale"
    ]


STARTS = """
[starts.model]
notes = ["Short."]
[starts.model.base]
epochs = 1
[starts.model.unadapted]
id = "as_it_is"
label = "as it is"
overrides = { epochs = 5 }
[starts.features.base]
points.noise = 0.4
"""


def test_a_recipe_says_what_it_starts_from_and_a_scale_what_that_means(
    write: Write, tiny: TinyExperiment
) -> None:
    scale = load_scale(write(SCALE + STARTS, "tenth.toml"), tiny)
    table = load_table(write('starts_from = "model"\n' + TABLE), tiny)
    at = table.at(scale)
    assert [row.id for row in at.rows] == ["as_it_is", "full_model", "straight"]
    assert (at.rows[0].label, at.rows[0].comparable) == ("as it is", False)
    assert at.notes == ("Eight epochs are too many.", "Short.")
    assert [row.config.epochs for row in expand_table(at, tiny)] == [5, 1, 1]
    assert at.contrasts == table.contrasts
    sweep = load_sweep(write('starts_from = "model"\n' + SWEEP), tiny).at(scale)
    assert sweep.notes == at.notes
    assert sweep.base == {"points": {"truth": "curve", "source": ""}, "epochs": 1}
    features = load_table(write('starts_from = "features"\n' + TABLE), tiny).at(scale)
    assert [row.id for row in features.rows] == [row.id for row in table.rows]
    assert features.notes == scale.notes
    full, straight = (row.config for row in expand_table(features, tiny))
    assert (full.points.noise, straight.points.noise, full.epochs) == (0.4, 0.2, 2)
    plain = load_table(write(TABLE), tiny)
    full, _ = (row.config for row in expand_table(plain.at(scale), tiny))
    assert (full.points.noise, full.epochs) == (0.1, 2)
    # What is fixed lies over everything, and a scale without starts changes nothing.
    fixing = load_scale(write(SCALE + "[fixed]\nepochs = 3\n" + STARTS, "t.toml"), tiny)
    assert [row.config.epochs for row in expand_table(table.at(fixing), tiny)] == [5, 3, 3]
    without = load_scale(write(SCALE, "without.toml"), tiny)
    assert table.at(without) == replace(plain.at(without), starts_from="model")


OF_TWO_SETS = TABLE.replace(
    '[[rows]]\nid = "straight"',
    '[[rows]]\nid = "line"\nlabel = "line"\ndataset = "line"\nextra_datasets = ["curve"]\n'
    'starts_from = "features"\n[[rows]]\nid = "straight"',
)


def test_a_row_names_its_datasets_and_its_start(write: Write, tiny: TinyExperiment) -> None:
    table = load_table(write('starts_from = "model"\n' + OF_TWO_SETS), tiny)
    read = {row.row.id: row.config.points for row in expand_table(table, tiny)}
    assert {name: points.truth for name, points in read.items()} == {
        "full_model": "curve", "line": "line", "straight": "curve"
    }  # fmt: skip
    assert (read["line"].source, read["straight"].source) == ("curve", "")
    scale = load_scale(write(SCALE + STARTS, "s.toml"), tiny)
    at = {row.row.id: row.config for row in expand_table(table.at(scale), tiny)}
    assert [(name, config.epochs) for name, config in at.items()] == [
        ("as_it_is", 5), ("full_model", 1), ("line", 2), ("straight", 1)
    ]  # fmt: skip
    assert (at["line"].points.noise, at["as_it_is"].points.truth) == (0.4, "curve")


def test_a_start_is_measured_on_each_set_of_its_rows(write: Write, tiny: TinyExperiment) -> None:
    text = OF_TWO_SETS.replace('starts_from = "features"', 'starts_from = "model"')
    table = load_table(write('starts_from = "model"\n' + text), tiny)
    scale = load_scale(write(SCALE + STARTS, "s.toml"), tiny)
    first, second = expand_table(table.at(scale), tiny)[:2]
    assert (first.row.id, second.row.id) == ("as_it_is_curve", "as_it_is_line")
    assert (first.config.points.truth, second.config.points.truth) == ("curve", "line")
    assert second.row.label == "as it is (line)"
    assert second.config.points.source == ""


def test_a_contrast_is_between_rows_of_one_dataset(write: Write, tiny: TinyExperiment) -> None:
    text = OF_TWO_SETS.replace('row = "straight"', 'row = "line"')
    assert faults_of(load_table, write(text), tiny) == [
        "mine.toml: contrasts[0]: must be between rows of one dataset, got curve and line"
    ]


def test_faults_of_starts_are_told(write: Write, tiny: TinyExperiment) -> None:
    table = write('starts_from = "modell"\n' + TABLE, "t.toml")
    assert faults_of(load_table, table, tiny) == [
        "t.toml: starts_from: unknown value 'modell'; did you mean 'model'?"
    ]
    text = SCALE + STARTS.replace("starts.features", "starts.feature")
    bad = text.replace('label = "as it is"', 'row = "as it is"').replace(
        "[starts.model.base]\n", ""
    )
    assert faults_of(load_scale, write(bad, "s.toml"), tiny) == [
        "s.toml: starts.feature: unknown key 'feature'; did you mean 'features'?",
        "s.toml: starts.model.epochs: unknown key 'epochs'; known here: base, notes, unadapted",
        "s.toml: starts.model.unadapted.row: unknown key 'row'; known here: id, label, overrides",
        "s.toml: starts.model.unadapted.label: is missing",
    ]
    scale = load_scale(write(SCALE + STARTS.replace("as_it_is", "straight"), "s.toml"), tiny)
    spec = load_table(write('starts_from = "model"\n' + TABLE), tiny)
    assert faults_of(spec.at, scale) == [
        "mine: rows: the id 'straight' is what the scale 's' adds; give the row another"
    ]


@pytest.mark.parametrize(
    ("notes", "fault"),
    [
        ('"text"', "mine.toml: notes: must be a list, got 'text'"),
        ('["text", 2]', "mine.toml: notes: must hold texts only, got 2"),
    ],
)
def test_notes_of_a_scale_are_a_list_of_texts(
    write: Write, tiny: TinyExperiment, notes: str, fault: str
) -> None:
    text = SCALE.replace('["Eight epochs are too many."]', notes)
    assert faults_of(load_scale, write(text), tiny) == [fault]


def test_a_scale_is_read(write: Write, tiny: TinyExperiment) -> None:
    text = 'title = "s"\nseeds = 3\n[data]\nrange = 2\n[base]\nepochs = 2\n'
    scale = load_scale(write(text), tiny)
    whole = load_scale(write('title = "w"\nseeds = 1\n', "whole.toml"), tiny)
    table = load_table(write(TABLE, "t.toml"), tiny)
    assert (table.at(scale).reduced_by, table.at(whole).reduced_by) == ("mine", "")
    assert (scale.seeds, scale.data, scale.base) == (3, {"range": 2}, {"epochs": 2})
    assert (scale.fixed, scale.notes) == ({}, ())
    bad = text.replace("seeds = 3", "seeds = 0").replace("range", "rnage")
    assert faults_of(load_scale, write(bad), tiny) == [
        "mine.toml: seeds: must be at least 1, got 0",
        "mine.toml: data.rnage: unknown key 'rnage'",
    ]
    (fault,) = faults_of(load_scale, "smal", tiny)
    assert fault == (
        "sweeps/scales has no recipe 'smal'; did you mean 'small'? "
        f"(recipes here: {', '.join(files.names('scales'))})"
    )
