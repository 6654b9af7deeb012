"""Recipes, the store's files and the spool, damaged, cut, or with something else in them."""

import json
import shutil
import tomllib
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from changed_files import SCALARS, changed_bytes, changed_tree, fuzzed, read_or_refused
from hypothesis import given
from hypothesis import strategies as st
from tiny_experiment import TinyExperiment
from tiny_tables import PCK

from s2hand_platform.claims import ClaimLedger
from s2hand_platform.errors import SpecError, StoreError
from s2hand_platform.experiments.s2hand.experiment import S2HandExperiment
from s2hand_platform.planning.persist import persisted_table
from s2hand_platform.planning.planner import plan_table
from s2hand_platform.spec.claims import load_claims
from s2hand_platform.spec.loader import load_scale, load_sweep, load_table
from s2hand_platform.spec.schema import ColumnSpec, RowSpec, TableSpec
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tracking.spool import Spool

EXPERIMENT = S2HandExperiment()
SWEEPS = Path(__file__).parents[2] / "sweeps"


def as_toml(value: Any) -> str:
    """Write what TOML can hold; None, which it cannot, as a date."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {as_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return "2024-05-01" if value is None else json.dumps(value)


def changed_toml(draw: st.DrawFn, content: bytes) -> bytes:
    if draw(st.booleans()):
        return changed_bytes(draw, content)
    tree = changed_tree(draw, tomllib.loads(content.decode()), SCALARS)
    tree = tree if isinstance(tree, dict) else {"": tree}
    lines = (f"{json.dumps(key)} = {as_toml(value)}\n" for key, value in tree.items())
    return "".join(lines).encode()


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("tables/table5.toml", load_table),
        ("searches/quaternion.toml", load_sweep),
        ("scales/demo.toml", load_scale),
    ],
)
@fuzzed
@given(st.data())
def test_a_recipe_is_read_or_refused(
    tmp_path: Path, name: str, load: Callable[..., Any], data: st.DataObject
) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(changed_toml(data.draw, (SWEEPS / name).read_bytes()))
    read_or_refused(lambda: load(path, EXPERIMENT), tmp_path, errors=SpecError)


PRINTED = b"""
title = "P"
dataset = "curve"
version = "v1"
columns = [{ label = "error_cm", metric = "test/error", unit = "cm" }]
rows = [
  { id = "one", label = "one", cells = ["1.10"] },
  { id = "other", label = "other", cells = ["0.9"] },
]
"""
CLAIMS = b"""
notes = ["odd"]
[[claims]]
id = "a"
section = "4.1"
table = "tiny"
sentence = "paragraph 1"
quote = "it is"
says = "It is better."
[[claims.checks]]
kind = "order"
rows = ["tiny.other", "tiny.one"]
columns = ["error_cm"]
[[claims.checks]]
kind = "ratio"
row = "tiny.other.error_cm"
baseline = "tiny.one.error_cm"
is = "18"
[[claims]]
id = "b"
section = "4.2"
sentence = "paragraph 2"
says = "It is so."
not_checkable = "nobody knows"
"""


@fuzzed
@given(st.data())
def test_claims_are_read_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    (tmp_path / "sweeps" / "published").mkdir(parents=True, exist_ok=True)
    (tmp_path / "sweeps" / "published" / "tiny.toml").write_bytes(PRINTED)
    (tmp_path / "sweeps" / "claims.toml").write_bytes(changed_toml(data.draw, CLAIMS))
    monkeypatch.chdir(tmp_path)
    read_or_refused(
        lambda: ClaimLedger.judge(load_claims(TinyExperiment()), {}).to_json(),
        tmp_path,
        errors=SpecError,
    )


@pytest.fixture
def whole(store: ResultStore, make_record: Any, make_evaluation: Any, tiny: TinyExperiment) -> Path:
    """A store with a file of each kind."""
    spec = TableSpec(
        name="small", title="T", dataset="curve", base={},
        rows=(RowSpec(id="full", label="full"),),
        columns=(ColumnSpec(label="error_cm", metric="test/error"),),
    )  # fmt: skip
    plan = persisted_table(
        spec,
        plan_table(spec, tiny, store, [0]),
        experiment=tiny.name,
        metrics=tiny.metrics,
        data={"full": tiny.describe_data(tiny.build_config({}))},
    )
    evaluation = make_evaluation(threshold_curves={"test": {"pck": PCK}})
    store.write_attempt(make_record("a" * 64), evaluation, [(0, {"loss": 1.0})])
    store.write_attempt(make_record("b" * 64), evaluation, [(0, {"loss": 1.0})])
    store.write_baseline("tiny", "zero", "f" * 64, evaluation, {"error": "cm"})
    store.write_code("e" * 64, {"module": "digest"})
    store.write_plan(plan)
    assert read_all(store.path) == 2
    return store.path


def changed_parquet(draw: st.DrawFn, path: Path) -> bytes:
    """Change bytes, or leave a column out, or give it another one's values."""
    content = path.read_bytes()
    if draw(st.booleans()):
        return changed_bytes(draw, content)
    table = pq.read_table(path)
    name = draw(st.sampled_from(table.column_names))
    place = table.column_names.index(name)
    if draw(st.booleans()):
        other = table[draw(st.sampled_from(table.column_names))]
    else:
        values = st.sampled_from([None, "", "x" * 64, -1, 2.5, True, b"\xff", "{", "[1]", "null"])
        other = pa.array([draw(values)] * len(table))
    changed = table.remove_column(place)
    if draw(st.integers(0, 2)):
        changed = changed.add_column(place, name, other)
    sink = pa.BufferOutputStream()
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), sink)
    return sink.getvalue().to_pybytes()


def read_all(path: Path) -> int:
    """Read a store by every question that it answers; count the attempts."""
    store = ResultStore(path)
    attempts = store.trials()
    store.metrics(attempts)
    store.curves(["a" * 64])
    store.threshold_curves(attempts)
    store.samples(["a" * 64], split="test", metric="error")
    store.last_attempt("a" * 64)
    store.baselines("tiny", "f" * 64)
    store.code_files("e" * 64)
    store.table_labels("small")
    store.latest_table_plan("small")
    return len(attempts)


@fuzzed
@given(st.data())
def test_a_store_goes_on_without_what_cannot_be_used(whole: Path, data: st.DataObject) -> None:
    root = whole.with_name("changed")
    shutil.copytree(whole, root)
    try:
        path = data.draw(st.sampled_from(sorted(root.rglob("*.parquet"))))
        content = changed_parquet(data.draw, path)
        path.write_bytes(content)
        if len(parts := path.name.split(".")) > 2 and data.draw(st.booleans()):
            # With the checksum of what it holds, as one who knows the format would.
            parts[-2] = f"00000000{zlib.crc32(content):08x}"
            path = path.rename(path.with_name(".".join(parts)))
        others = {each for each in root.rglob("*.parquet") if each != path}
        found = read_or_refused(lambda: read_all(root), whole, errors=StoreError)
        assert found is None or 1 <= found <= 2
        assert others <= set(root.rglob("*.parquet"))
        assert not list(root.rglob(".writing-*"))
    finally:
        shutil.rmtree(root)


@fuzzed
@given(st.data())
def test_a_spool_passes_over_what_it_cannot_use(tmp_path: Path, data: st.DataObject) -> None:
    spool = Spool(tmp_path, "sqlite:///x")
    spool.path.unlink(missing_ok=True)
    spool.append([{"op": "start", "trial": "a"}, {"op": "end", "values": {"error": 1.0}}])
    spool.path.write_bytes(changed_bytes(data.draw, spool.path.read_bytes()))
    lock = spool.path.with_suffix(".lock").name
    waiting = read_or_refused(lambda: len(spool), tmp_path, errors=(), may_change=[lock])
    spool.append([{"op": "summary", "trial": "b"}])
    assert len(spool) == waiting + 1
