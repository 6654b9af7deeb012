import dataclasses
import hashlib
import json
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2hand_platform.errors import ExecutionError, PlatformError, SpecError, StopTrial, StoreError
from s2hand_platform.identity import (
    EVALUATION_DATA,
    CodeFingerprint,
    TrainingIdentity,
    canonical_json,
    check_same_code,
    config_hash,
    evaluation_contents,
    is_module,
    without_fields,
)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(PLAIN)
def test_canonical_json_loses_nothing(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_tuples_are_lists_and_floats_keep_every_digit() -> None:
    assert (
        canonical_json({"b": (1, 0.1 + 0.2), "a": 1.0}) == '{"a":1.0,"b":[1,0.30000000000000004]}'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_has_no_identity(value: float) -> None:
    with pytest.raises(ValueError, match=r"value\.weights\[0\] must be finite"):
        canonical_json({"weights": [value]})


def test_only_plain_data_has_an_identity() -> None:
    with pytest.raises(TypeError, match=r"value\.when must be plain data, got PosixPath"):
        canonical_json({"when": Path("x")})
    with pytest.raises(TypeError, match="must have text as keys, got 1"):
        canonical_json({1: 2})


def test_named_fields_and_all_below_them_are_left_out() -> None:
    config = {
        "data": {"root": "/a", "rooted": 1},
        "runtime": {"cache": {"dir": "x"}},
        "runtimes": 2,
    }
    kept = without_fields(config, {"data.root", "runtime"})
    assert kept == {"data.rooted": 1, "runtimes": 2}


class Named:
    """As much of an experiment as an identity asks for."""

    name = "named"
    operational_fields = frozenset({"paths"})
    evaluation_fields = frozenset({"judge", "paths.judge"})


CONFIG = {"paths": {"root": "/a"}, "judge": {"set": "x"}, "rate": 0.1, "epochs": 3}


class TestConfigHash:
    def test_is_a_full_sha256(self) -> None:
        assert len(config_hash(Named(), CONFIG)) == 64
        assert set(config_hash(Named(), CONFIG)) <= set("0123456789abcdef")

    @pytest.mark.parametrize("change", [{"paths": {"root": "/b"}}, {"judge": {"set": "y"}}])
    def test_forgets_what_changes_no_training(self, change: dict[str, Any]) -> None:
        assert config_hash(Named(), {**CONFIG, **change}) == config_hash(Named(), CONFIG)

    @pytest.mark.parametrize("change", [{"rate": 0.2}, {"epochs": 4}, {"epochs": 3.0}, {"new": 0}])
    def test_changes_with_everything_else(self, change: dict[str, Any]) -> None:
        assert config_hash(Named(), {**CONFIG, **change}) != config_hash(Named(), CONFIG)

    def test_is_that_of_what_is_left_and_the_format(self) -> None:
        """Stored results are found by it: another way to write it is another format."""
        known = '["s2hand-identity-2","named",{"epochs":3,"rate":0.1}]'
        assert config_hash(Named(), CONFIG) == hashlib.sha256(known.encode()).hexdigest()

    def test_changes_with_the_experiment(self) -> None:
        renamed = type("Renamed", (Named,), {"name": "renamed"})()
        assert config_hash(renamed, CONFIG) != config_hash(Named(), CONFIG)


IDENTITY = TrainingIdentity(config_hash="c", seed=0, data="d", code="k", device_type="cpu")


class TestTrialId:
    def test_is_the_same_for_the_same_trial(self) -> None:
        again = TrainingIdentity(config_hash="c", seed=0, data="d", code="k", device_type="cpu")
        assert again.trial_id() == IDENTITY.trial_id()
        assert len(IDENTITY.trial_id()) == 64

    def test_is_that_of_all_that_is_known(self) -> None:
        known = '["c",0,"d","k","cpu",""]'
        assert IDENTITY.trial_id() == hashlib.sha256(known.encode()).hexdigest()

    @pytest.mark.parametrize("field", dataclasses.fields(TrainingIdentity), ids=lambda f: f.name)
    def test_changes_with_every_field(self, field: Any) -> None:
        other = 1 if field.name == "seed" else "other"
        assert replace(IDENTITY, **{field.name: other}).trial_id() != IDENTITY.trial_id()

    @pytest.mark.parametrize("field", ["data", "code"])
    def test_what_cannot_be_fingerprinted_is_never_reused(self, field: str) -> None:
        unknown = replace(IDENTITY, **{field: None})
        assert unknown.trial_id() != unknown.trial_id()


class TestEvaluationContents:
    def contents(self, data: str = "d", **config: Any) -> dict[str, str]:
        return evaluation_contents(Named(), {**CONFIG, **config}, data, {"module": "m"})

    def test_holds_modules_data_and_its_own_settings(self) -> None:
        assert set(self.contents()) == {"module", EVALUATION_DATA, "setting judge.set"}

    def test_stored_evaluations_are_found_by_them(self) -> None:
        setting = hashlib.sha256(b'"x"').hexdigest()
        expected = {"module": "m", "evaluation data": "d", "setting judge.set": setting}
        assert self.contents() == expected

    def test_changes_with_data_and_settings_and_not_with_those_of_the_training(self) -> None:
        assert self.contents(data="other") != self.contents()
        assert self.contents(judge={"set": "y"}) != self.contents()
        assert self.contents(rate=9.0) == self.contents()

    def test_forgets_where_the_data_lies(self) -> None:
        assert self.contents(paths={"judge": "/b"}) == self.contents(paths={"judge": "/c"})


class TestCodeFingerprint:
    def test_depends_on_names_and_digests_and_not_on_paths(self) -> None:
        one = CodeFingerprint.of({"json": "1", "pathlib": "2"})
        assert one.sha256 == CodeFingerprint.of({"pathlib": "2", "json": "1"}).sha256
        assert one.sha256 != CodeFingerprint.of({"json": "1", "pathlib": "3"}).sha256
        assert one.sha256 != CodeFingerprint.of({"json": "1", "string": "2"}).sha256
        assert replace(one, paths={}).sha256 == one.sha256

    def test_is_that_of_names_and_digests(self) -> None:
        """Stored code is found by it."""
        known = b'{"json":"1","pathlib":"2"}'
        found = CodeFingerprint.of({"pathlib": "2", "json": "1"})
        assert found.sha256 == hashlib.sha256(known).hexdigest()
        assert found.digests == {"json": "1", "pathlib": "2"}

    def test_knows_where_modules_are_imported_from(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "not_imported_yet.py").write_text("")
        (tmp_path / "folder_without_modules").mkdir()
        monkeypatch.syspath_prepend(tmp_path)
        for name in ("made_by_hand", "without_a_file"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setattr(sys.modules["made_by_hand"], "__file__", "/by/hand.py", raising=False)
        expected = {
            "json": json.__file__,
            "made_by_hand": "/by/hand.py",
            "not_imported_yet": str(tmp_path / "not_imported_yet.py"),
            "without_a_file": "(absent)",
            "folder_without_modules": "(absent)",
            "nowhere": "(absent)",
            "nowhere.at_all": "(absent)",
            "starting weights 'hands'": "(absent)",
        }
        assert CodeFingerprint.of(dict.fromkeys(expected, "1")).paths == expected

    @pytest.mark.parametrize(
        ("name", "is_one"),
        [
            ("json", True), ("s2hand.losses.motion", True), ("", False), ("s2hand.", False),
            ("starting weights 'hands'", False), ("s2hand.losses of motion", False),
        ],
    )  # fmt: skip
    def test_modules_are_told_from_words(self, name: str, is_one: bool) -> None:
        assert is_module(name) == is_one

    def test_the_same_code_elsewhere_is_the_same(self) -> None:
        here = CodeFingerprint.of({"json": "1"})
        check_same_code(here, replace(here, paths={"json": "/elsewhere/json.py"}))

    def test_other_code_is_refused_with_both_paths(self) -> None:
        planned = CodeFingerprint.of({"json": "1", "pathlib": "2"})
        here = CodeFingerprint(
            sha256="other",
            digests={"json": "1", "pathlib": "9"},
            paths={"json": "/j.py", "pathlib": "/site-packages/pathlib.py"},
        )
        message = rf"code of 'pathlib'.*{planned.paths['pathlib']}.*/site-packages/pathlib.py"
        with pytest.raises(ExecutionError, match=message):
            check_same_code(planned, here)

    def test_a_module_that_is_not_there_is_refused(self) -> None:
        planned = CodeFingerprint.of({"json": "1", "gone": "2"})
        here = CodeFingerprint.of({"json": "1"})
        with pytest.raises(ExecutionError, match=r"code of 'gone'.*\(absent\)"):
            check_same_code(planned, here)
        with pytest.raises(ExecutionError, match=r"code of 'gone' .* \(\(absent\)\), but"):
            check_same_code(here, planned)

    def test_another_file_that_acts_is_refused_by_its_words(self) -> None:
        planned, here = (
            CodeFingerprint.of({"json": "1", "starting weights 'hands'": digest})
            for digest in ("a", "b")
        )
        check_same_code(planned, planned)
        with pytest.raises(
            ExecutionError, match="the starting weights 'hands' must have the content"
        ) as info:
            check_same_code(planned, here)
        assert info.value.cause == "code"


@pytest.mark.parametrize(
    "error",
    [SpecError(["a", "b"]), StoreError("disk"), ExecutionError("code"), StopTrial("asha")],
)
def test_errors_cross_processes(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    assert isinstance(error, PlatformError | StopTrial)


def test_a_spec_error_keeps_its_faults() -> None:
    again = pickle.loads(pickle.dumps(SpecError(["a", "b"])))
    assert again.faults == ["a", "b"]
    assert str(again) == "a\nb"
