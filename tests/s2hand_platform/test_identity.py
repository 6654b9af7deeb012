import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_experiment import TinyExperiment

from s2hand_platform.errors import ExecutionError, PlatformError, SpecError, StopTrial, StoreError
from s2hand_platform.identity import (
    CodeFingerprint,
    canonical_json,
    check_same_code,
    code_fingerprint,
    config_hash,
    trial_id,
    without_operational,
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


def test_operational_fields_and_all_below_them_are_left_out() -> None:
    config = {
        "data": {"root": "/a", "rooted": 1},
        "runtime": {"cache": {"dir": "x"}},
        "runtimes": 2,
    }
    kept = without_operational(config, {"data.root", "runtime"})
    assert kept == {"data.rooted": 1, "runtimes": 2}


class TestTrialId:
    def dump(self, **changes: Any) -> dict[str, Any]:
        tiny = TinyExperiment()
        return tiny.dump_config(tiny.build_config(changes))

    def identify(self, seed: int = 0, data: str | None = "d", **changes: Any) -> str:
        return trial_id(TinyExperiment(), self.dump(**changes), seed, data, "code")

    def test_is_a_full_sha256(self) -> None:
        assert len(self.identify()) == 64
        assert set(self.identify()) <= set("0123456789abcdef")

    def test_is_the_same_for_the_same_trial(self) -> None:
        assert self.identify() == self.identify(data="d")

    def test_ignores_operational_fields(self) -> None:
        assert self.identify() == self.identify_at("/elsewhere")

    def identify_at(self, root: str) -> str:
        dump = self.dump()
        dump["points"]["source"] = root
        return trial_id(TinyExperiment(), dump, 0, "d", "code")

    def test_changes_with_everything_else(self) -> None:
        tiny, renamed = TinyExperiment(), TinyExperiment()
        renamed.name = "tiny2"
        ids = {
            self.identify(),
            self.identify(seed=1),
            self.identify(data="other"),
            self.identify(epochs=5),
            self.identify(workers=2),
            trial_id(tiny, self.dump(), 0, "d", "other code"),
            trial_id(renamed, self.dump(), 0, "d", "code"),
        }
        assert len(ids) == 7

    def test_what_cannot_be_fingerprinted_is_never_reused(self) -> None:
        assert self.identify(data=None) != self.identify(data=None)

    def test_config_hash_forgets_the_seed_only(self) -> None:
        tiny = TinyExperiment()
        assert config_hash(tiny, self.dump()) != config_hash(tiny, self.dump(epochs=5))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of four modules, of which the experiment reaches three."""
    root = tmp_path / "fingerprinted"
    (root / "deep").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "deep" / "__init__.py").write_text("from ..used import VALUE\n")
    (root / "used.py").write_text("VALUE = 1\n")
    (root / "unused.py").write_text("VALUE = 2\n")
    (root / "experiment.py").write_text(
        "import json\n"
        "class Experiment:\n"
        "    name = 'x'\n"
        "    code_packages = ('fingerprinted',)\n"
        "    def train(self):\n"
        "        from fingerprinted import deep\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "fingerprinted", raising=False)
    return root


class TestCodeFingerprint:
    def experiment(self) -> Any:
        import importlib
        import sys

        for name in [name for name in sys.modules if name.startswith("fingerprinted")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return importlib.import_module("fingerprinted.experiment").Experiment()

    def take(self) -> CodeFingerprint:
        fingerprint = code_fingerprint(self.experiment())
        assert fingerprint is not None
        return fingerprint

    def test_follows_imports_inside_functions_and_relative_ones(self, package: Path) -> None:
        fingerprint = self.take()
        assert set(fingerprint.files) == {
            "fingerprinted",
            "fingerprinted.deep",
            "fingerprinted.experiment",
            "fingerprinted.used",
        }
        assert fingerprint.files["fingerprinted.used"][0] == str(package / "used.py")

    def test_changes_with_a_module_that_is_reached_and_with_no_other(self, package: Path) -> None:
        before = self.take().sha256
        (package / "unused.py").write_text("VALUE = 3\n")
        assert self.take().sha256 == before
        (package / "used.py").write_text("VALUE = 3\n")
        assert self.take().sha256 != before

    def test_does_not_depend_on_where_the_code_lies(
        self, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = self.take()
        (tmp_path / "moved").mkdir()
        package.rename(tmp_path / "moved" / "fingerprinted")
        monkeypatch.syspath_prepend(str(tmp_path / "moved"))
        after = self.take()
        assert after.sha256 == before.sha256
        assert after.files != before.files
        check_same_code(before, after)

    def test_an_installed_copy_is_refused_with_both_paths(self, package: Path) -> None:
        planned = self.take()
        files = dict(planned.files)
        files["fingerprinted.used"] = ("/site-packages/fingerprinted/used.py", "other")
        here = CodeFingerprint(sha256="other", files=files)
        message = rf"'fingerprinted.used'.*{package / 'used.py'}.*/site-packages/fingerprinted/used"
        with pytest.raises(ExecutionError, match=message):
            check_same_code(planned, here)

    def test_of_the_tiny_experiment(self, tiny: TinyExperiment) -> None:
        fingerprint = code_fingerprint(tiny)
        assert fingerprint is not None
        assert list(fingerprint.files) == ["tiny_experiment"]

    def test_is_unknown_without_source(self) -> None:
        experiment = type("Made", (), {"__module__": "builtins", "code_packages": ()})()
        assert code_fingerprint(experiment) is None


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


def test_fingerprints_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CodeFingerprint(sha256="", files={}).sha256 = "x"
