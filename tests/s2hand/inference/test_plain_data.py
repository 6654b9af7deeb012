"""Dataclasses from plain data: complete, exact, and refused by the field's name."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import pytest

from s2hand.config import PRESETS, QuaternionPhase, S2HandConfig, StageConfig
from s2hand.errors import ConfigurationError
from s2hand.plain_data import from_plain

CONFIG = replace(
    PRESETS["released-ho3d"],
    data=replace(PRESETS["paper"].data, dataset="ho3d"),
    stages=(replace(PRESETS["released-ho3d"].stages[0], samples="clips"),),
    quaternion_schedule=(
        QuaternionPhase(from_epoch=0, frame_interval=2, num_frames=3, weight=1.0),
    ),
)


@dataclass(frozen=True, kw_only=True)
class _Leaf:
    flag: bool
    count: int
    share: float
    name: str
    mode: Literal["a", 1]
    rest: Mapping[str, Any]


LEAF = {"flag": True, "count": 2, "share": 0.5, "name": "x", "mode": "a", "rest": {"y": [1]}}


def _plain(config: S2HandConfig) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(config)))


def _leaves(node: Any, path: tuple = ()) -> Iterator[tuple]:
    """List the paths of everything that is no mapping and no list of mappings."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(node, list) and node and isinstance(node[0], dict):
        for index, value in enumerate(node):
            yield from _leaves(value, (*path, index))
    else:
        yield path


def _changed(plain: dict[str, Any], path: tuple, value: object = None) -> dict[str, Any]:
    changed = deepcopy(plain)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


def _named(path: tuple) -> str:
    return "config" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


@pytest.mark.parametrize("config", [*PRESETS.values(), CONFIG])
def test_a_configuration_comes_back_equal(config):
    assert from_plain(S2HandConfig, _plain(config), "config") == config


def test_every_leaf_is_checked_and_named():
    plain = _plain(CONFIG)
    paths = list(_leaves(plain))
    assert len(paths) > 50
    for path in paths:
        for wrong in (None, ["a", 1], {"b": 2}):
            with pytest.raises(ConfigurationError) as caught:
                from_plain(S2HandConfig, _changed(plain, path, wrong), "config")
            assert str(caught.value).startswith(_named(path))


def test_every_field_must_be_there_and_no_other():
    plain = _plain(CONFIG)
    for path in _leaves(plain):
        lacking = deepcopy(plain)
        node = lacking
        for key in path[:-1]:
            node = node[key]
        del node[path[-1]]
        node["extra"] = 1
        with pytest.raises(ConfigurationError) as caught:
            from_plain(S2HandConfig, lacking, "config")
        assert str(caught.value) == (
            f"{_named(path)} is missing; {_named((*path[:-1], 'extra'))} is not known here"
        )


@pytest.mark.parametrize(
    ("field", "wrong", "expected"),
    [
        ("flag", 1, "a value of type bool"),
        ("count", True, "a value of type int"),
        ("count", 2.0, "a value of type int"),
        ("share", True, "a value of type float"),
        ("share", "0.5", "a value of type float"),
        ("share", 10**400, "a value of type float"),
        ("name", 3, "a value of type str"),
        ("mode", "b", "one of 'a', 1"),
        ("mode", True, "one of 'a', 1"),
        ("rest", [1], "a mapping from texts"),
        ("rest", {1: 1}, "a mapping from texts"),
    ],
)
def test_types_are_exact(field, wrong, expected):
    with pytest.raises(ConfigurationError) as caught:
        from_plain(_Leaf, LEAF | {field: wrong}, "leaf")
    assert str(caught.value) == f"leaf.{field} must be {expected}, got {wrong!r}"


def test_values_of_a_mapping_have_its_type():
    @dataclass(frozen=True, kw_only=True)
    class Scores:
        scores: Mapping[str, float]

    assert from_plain(Scores, {"scores": {"a": 1, "b": 0.5}}, "x") == Scores(
        scores={"a": 1.0, "b": 0.5}
    )
    for wrong in (None, "1", [1.0], True):
        with pytest.raises(ConfigurationError, match=r"x\.scores\.b must be a value of type float"):
            from_plain(Scores, {"scores": {"a": 1.0, "b": wrong}}, "x")


def test_whole_numbers_become_floats_where_floats_are_meant():
    leaf = from_plain(_Leaf, LEAF | {"share": 2}, "leaf")
    assert isinstance(leaf.share, float)
    assert from_plain(_Leaf, LEAF, "leaf") == _Leaf(**LEAF)


def test_values_are_checked_by_the_dataclass_itself():
    stage = _plain(CONFIG)["stages"][0] | {"name": "a", "learning_rate": 0.0}
    with pytest.raises(
        ConfigurationError,
        match=r"stages.a.learning_rate must be finite and positive, got learning_rate=0.0",
    ):
        from_plain(StageConfig, stage, "stage")


def test_a_type_that_plain_data_cannot_hold_is_our_own_mistake():
    @dataclass
    class Unsupported:
        when: complex

    with pytest.raises(TypeError, match=r"thing.when: plain data cannot be turned into"):
        from_plain(Unsupported, {"when": 1}, "thing")


def test_what_may_be_none_is_none_or_of_its_type() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Holder:
        leaf: _Leaf | None

    assert from_plain(Holder, {"leaf": None}, "holder") == Holder(leaf=None)
    assert from_plain(Holder, {"leaf": LEAF}, "holder") == Holder(leaf=_Leaf(**LEAF))
    with pytest.raises(ConfigurationError, match=r"holder.leaf must be a mapping of fields, got 1"):
        from_plain(Holder, {"leaf": 1}, "holder")
