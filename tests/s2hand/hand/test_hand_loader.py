"""Loading hand models: the official layout, chumpy's objects, and files that must be refused."""

import io
import os
import pickle
import pickletools
import stat
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from s2hand.errors import DataError, HandModelError
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.export import export_hand_model, official_layout
from s2hand.hand.loader import load_hand_model
from s2hand.hand.model_data import HandModelData
from s2hand.hand.pickles import InertObject, load_restricted


@pytest.fixture(autouse=True)
def _no_model_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S2HAND_MANO", raising=False)


@pytest.fixture
def exported(random_hand: HandModelData, tmp_path: Path) -> Path:
    path = tmp_path / "MANO_RIGHT.pkl"
    export_hand_model(random_hand, path)
    return path


def _write(path: Path, content: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def test_export_and_load_keep_every_number(random_hand: HandModelData, exported: Path) -> None:
    loaded = load_hand_model(exported)
    assert loaded.fingerprint == random_hand.fingerprint
    assert loaded.source == str(exported)


def test_exported_file_is_laid_out_as_the_official_one(exported: Path) -> None:
    pickled = exported.read_bytes()
    globals_named = {
        argument for opcode, argument, _ in pickletools.genops(pickled) if opcode.name == "GLOBAL"
    }
    assert pickled[:2] == b"\x80\x02"
    assert globals_named == {
        "numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype",
        "scipy.sparse.csc csc_matrix", "_codecs encode",
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:Please import.*scipy.sparse:DeprecationWarning")
def test_exported_file_is_plain_for_the_standard_unpickler(exported: Path) -> None:
    content = pickle.loads(exported.read_bytes(), encoding="latin1")
    assert set(content) == {
        "hands_components", "hands_coeffs", "hands_mean", "f", "J_regressor", "kintree_table",
        "J", "weights", "posedirs", "v_template", "shapedirs", "bs_style", "bs_type",
    }  # fmt: skip
    assert isinstance(content["J_regressor"], scipy.sparse.csc_matrix)
    assert content["f"].dtype == content["kintree_table"].dtype == np.uint32
    assert content["kintree_table"][0].tolist()[:5] == [4294967295, 0, 1, 2, 0]
    np.testing.assert_allclose(
        content["J"], content["J_regressor"].toarray() @ content["v_template"]
    )
    assert (content["bs_style"], content["bs_type"]) == ("lbs", "lrotmin")


def test_narrow_numbers_are_exported_as_the_official_file_s(random_hand: HandModelData) -> None:
    """Other projects' layers compute in the type that they find."""
    names = ("v_template", "J_regressor", "posedirs", "weights")
    narrow = {name: getattr(random_hand, name).astype(np.float32) for name in names}
    content = official_layout(replace(random_hand, **narrow))
    integers = {"f", "kintree_table"}
    numbers = {name: each for name, each in content.items() if not isinstance(each, str)}
    assert {numbers[name].dtype for name in numbers.keys() - integers} == {np.dtype(np.float64)}
    assert {numbers[name].dtype for name in integers} == {np.dtype(np.uint32)}


def test_path_comes_before_environment_and_embedded_is_last(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_hand_model().fingerprint == embedded_hand().fingerprint
    monkeypatch.setenv("S2HAND_MANO", str(exported))
    assert load_hand_model().source == str(exported)
    assert load_hand_model("embedded").source == "embedded"
    monkeypatch.setenv("S2HAND_MANO", str(exported) + ".not")
    assert load_hand_model(str(exported)).source == str(exported)
    with pytest.raises(HandModelError, match=r"MANO_RIGHT\.pkl\.not: the hand model cannot be"):
        load_hand_model()


def test_embedded_hand_survives_the_way_through_the_official_layout(tmp_path: Path) -> None:
    path = tmp_path / "hand_RIGHT.pkl"
    export_hand_model(embedded_hand(), path)
    assert load_hand_model(path).fingerprint == embedded_hand().fingerprint
    assert stat.S_IMODE(path.stat().st_mode) & 0o444


@pytest.fixture
def chumpy(monkeypatch: pytest.MonkeyPatch) -> dict[str, type]:
    """Stand-ins that pickle under chumpy's names, present only while the file is written."""
    classes = {}
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    for module, name in (("chumpy.ch", "Ch"), ("chumpy.reordering", "Select")):
        kind = type(name, (), {"__module__": module, "__init__": _set_attributes})
        fake = types.ModuleType(module)
        setattr(fake, name, kind)
        monkeypatch.setitem(sys.modules, module, fake)
        classes[name] = kind
    return classes


def _set_attributes(self: Any, **attributes: object) -> None:
    self.__dict__.update(attributes)


def _official_with_chumpy(data: HandModelData, chumpy: dict[str, type]) -> dict[str, object]:
    """The distributed file's content: 20 shape directions, of which an expression picks ten."""
    twenty = np.random.default_rng(0).normal(size=(778, 3, 20))
    twenty[:, :, :10] = data.shapedirs
    picked = np.arange(twenty.size).reshape(twenty.shape)[:, :, :10].ravel()
    content = official_layout(data)
    content["shapedirs"] = chumpy["Select"](
        a=chumpy["Ch"](x=twenty), idxs=picked, preferred_shape=(778, 3, 10)
    )
    content["v_template"] = chumpy["Ch"](x=data.v_template)
    return content


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_chumpy_objects_are_evaluated_without_chumpy(
    random_hand: HandModelData, chumpy: dict[str, type], tmp_path: Path, protocol: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    content = _official_with_chumpy(random_hand, chumpy)
    path = _write(tmp_path / "MANO_RIGHT.pkl", content, protocol)
    for module in ("chumpy.ch", "chumpy.reordering", "chumpy"):
        monkeypatch.delitem(sys.modules, module)
    assert load_hand_model(path).fingerprint == random_hand.fingerprint


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({}, "KeyError"),
        ({"a": np.zeros(3), "idxs": [9], "preferred_shape": (1,)}, "IndexError"),
        ({"a": np.zeros(3), "idxs": [1], "preferred_shape": "wide"}, "TypeError"),
        ({"a": np.zeros(3), "idxs": [1], "preferred_shape": (2,)}, "ValueError"),
    ],
)
def test_a_damaged_expression_is_refused(
    random_hand: HandModelData, chumpy: dict[str, type], tmp_path: Path,
    state: dict[str, object], reason: str,
) -> None:  # fmt: skip
    content = official_layout(random_hand) | {"weights": chumpy["Select"](**state)}
    with pytest.raises(HandModelError, match=rf"weights cannot be turned into an array \({reason}"):
        load_hand_model(_write(tmp_path / "MANO_RIGHT.pkl", content))


@pytest.mark.parametrize("indptr", [[0, 2**34], [0, 2, 1], [2, 0], [0, 2**62, 2**63 - 1], [0, 1]])
def test_numbers_of_a_sparse_matrix_take_no_memory(
    random_hand: HandModelData, tmp_path: Path, indptr: list[int]
) -> None:
    """Each column's length follows from the file; two entries are all that there is."""
    matrix = scipy.sparse.csc_matrix(random_hand.J_regressor)
    matrix.data, matrix.indices, matrix.indptr = np.ones(2), np.zeros(2, int), np.array(indptr)
    content = official_layout(random_hand) | {"J_regressor": matrix}
    with pytest.raises(
        HandModelError, match=r"J_regressor .* \(ValueError: indptr does not divide"
    ):
        load_hand_model(_write(tmp_path / "MANO_RIGHT.pkl", content))


def test_a_joint_without_vertices_is_refused(random_hand: HandModelData, tmp_path: Path) -> None:
    regressor = random_hand.J_regressor.copy()
    regressor[7] = 0
    content = official_layout(random_hand) | {"J_regressor": regressor}
    with pytest.raises(HandModelError, match="J_regressor must give every joint some vertices"):
        load_hand_model(_write(tmp_path / "MANO_RIGHT.pkl", content))


def test_lists_in_lists_are_no_numbers(
    random_hand: HandModelData, chumpy: dict[str, type], tmp_path: Path
) -> None:
    nested: list[object] = []
    for _ in range(40):
        nested = [nested, nested]
    content = official_layout(random_hand)
    picked = chumpy["Select"](a=np.zeros(3), idxs=nested, preferred_shape=(1,))
    with pytest.raises(HandModelError, match=r"weights .* \(TypeError: expected real numbers, got"):
        load_hand_model(_write(tmp_path / "MANO_RIGHT.pkl", content | {"weights": picked}))


@pytest.mark.parametrize("layout", ["csc", "csr", "coo"])
def test_a_sparse_matrix_that_older_tools_wrote_is_read(
    random_hand: HandModelData, tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its modules and attributes had other names."""
    module = types.ModuleType(f"scipy.sparse.{layout}")
    kind = type(
        f"{layout}_matrix", (), {"__module__": module.__name__, "__init__": _set_attributes}
    )
    setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    matrix = getattr(scipy.sparse, f"{layout}_matrix")(random_hand.J_regressor)
    places = ("row", "col") if layout == "coo" else ("indices", "indptr")
    old = kind(
        shape=matrix.shape, data=matrix.data, **{name: getattr(matrix, name) for name in places}
    )
    content = official_layout(random_hand) | {"J_regressor": old}
    loaded = load_hand_model(_write(tmp_path / "MANO_RIGHT.pkl", content))
    assert loaded.fingerprint == random_hand.fingerprint


def test_numbers_of_other_types_are_read(random_hand: HandModelData, tmp_path: Path) -> None:
    content = official_layout(random_hand) | {
        "f": random_hand.faces.astype(np.int32),
        "weights": random_hand.weights.astype(np.float32),
        "hands_coeffs": np.ones((1554, 45), np.int64),
        "hands_mean": np.ones(45, np.uint8),
    }
    loaded = load_hand_model(_write(tmp_path / "MANO_RIGHT.pkl", content))
    np.testing.assert_array_equal(loaded.faces, random_hand.faces)
    np.testing.assert_allclose(loaded.weights, random_hand.weights, atol=1e-7)
    assert loaded.hands_coeffs.all()
    assert loaded.hands_mean.all()


def test_strings_of_python_2_are_read_as_latin1() -> None:
    """``'\\xe9'`` by Python 2 in protocol 2: a SHORT_BINSTRING, which is bytes without a coding."""
    assert load_restricted(io.BytesIO(b"\x80\x02U\x01\xe9."), what="meta file") == "é"


def test_arrays_of_python_2_are_read() -> None:
    """NumPy arrays by Python 2 hold their data as such strings."""
    array = np.array([[1.5, -2.0]])
    data = array.tobytes()
    pickled = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x01K\x02\x86cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U" + bytes([len(data)]) + data + b"tb."
    )
    np.testing.assert_array_equal(load_restricted(io.BytesIO(pickled), what="meta file"), array)


def test_numbers_of_python_2_are_read() -> None:
    """A NumPy scalar by Python 2 holds its bytes as such a string."""
    data = np.float64(1.5).tobytes()
    kind = b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R"
    pickled = b"\x80\x02cnumpy.core.multiarray\nscalar\n" + kind + b"U\x08" + data + b"\x86R."
    assert load_restricted(io.BytesIO(pickled), what="meta file") == 1.5


def test_an_array_s_type_cannot_pass_numbers_off_as_pointers() -> None:
    """NumPy believes a type's flags: it would follow the bytes of this array as addresses."""
    objects = _pickled_type(b"O8", b"NN", flags=b"K\x3f")
    fields = b"(" + _pickled_text(b"a") + b"t}" + _pickled_text(b"a") + b"(" + objects + b"K\x00ts"
    disguised = _pickled_type(b"V8", fields, flags=b"K\x00")
    nested = _pickled_type(b"f8", b"NN", flags=b"K\x00", base=b"(" + objects + b"K\x01\x85t")
    for kind in (disguised, disguised.replace(b"V8", b"f8"), nested):
        pickled = (
            b"\x80\x03cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
            b"(K\x01K\x01\x85" + kind + b"\x89C\x08AAAAAAAAtb."
        )
        with pytest.raises(DataError, match=r"the array type 'V8'|an array type of several parts"):
            load_restricted(io.BytesIO(pickled), what="meta file")


def _pickled_type(
    code: bytes, names_and_fields: bytes, *, flags: bytes, base: bytes = b"N"
) -> bytes:
    parts = base + names_and_fields
    state = b"(K\x03" + _pickled_text(b"|") + parts + b"K\x08K\x01" + flags + b"t"
    return b"cnumpy\ndtype\n" + _pickled_text(code) + b"K\x00K\x01\x87R" + state + b"b"


def _pickled_text(text: bytes) -> bytes:
    return b"X" + len(text).to_bytes(4, "little") + text


def test_arrays_have_as_many_entries_as_they_say() -> None:
    """NumPy would read beyond the end of the list."""
    whole = pickle.dumps(np.array([None, 1, 2], object), protocol=2)
    cut = whole.replace(b"K\x01K\x03\x85", b"K\x01K\x7f\x85")
    assert cut != whole
    with pytest.raises(DataError, match=r"an array of shape \(127,\) has 3 entries"):
        load_restricted(io.BytesIO(cut), what="meta file")


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("text", [np.array(["abcd"]), np.str_("abcd")], ids=["array", "scalar"])
def test_texts_hold_characters(protocol: int, text: object) -> None:
    whole = pickle.dumps(text, protocol)
    wrong = whole.replace(b"a\0\0\0b\0\0\0", b"a\0\0\x7fb\0\0\0")
    assert wrong != whole
    with pytest.raises(DataError, match="holds what is no character"):
        load_restricted(io.BytesIO(wrong), what="meta file")


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_is_read_in_every_protocol(protocol: int) -> None:
    content = {
        "handPose": np.arange(48.0), "handBoundingBox": [1, 2.5, 3, 4], "objName": "004_sugar_box",
        "camMat": np.eye(3, dtype=np.float32), "none": None, "scalar": np.float32(2.5),
        "text": np.array(["a", "b\U0010ffff"]), "big_endian_text": np.array(["ab"], ">U2"),
        "no_texts": np.zeros(0, "U3"), "matrix": scipy.sparse.csc_matrix(np.eye(2)),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "turned": np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2), "empty": np.zeros((0, 3)),
        "big_endian": np.arange(3, dtype=">i4"), "truth": np.array([True, False]),
        "objects": np.array([None, "a", 1.5], object), "flat": np.matrix([[1.0, 2.0]]),
        "bytes": np.array([b"ab", b"c"]), "ordered": OrderedDict(a=1),
    }  # fmt: skip
    loaded = load_restricted(io.BytesIO(pickle.dumps(content, protocol)), what="meta file")
    matrix = loaded.pop("matrix")
    assert isinstance(matrix, InertObject)
    np.testing.assert_array_equal(matrix.data, [1, 1])
    del content["matrix"]
    np.testing.assert_equal(loaded, content)
    for name, value in content.items():
        if isinstance(value, np.ndarray):
            assert loaded[name].dtype == pickle.loads(pickle.dumps(value, protocol)).dtype
            assert not isinstance(loaded[name], np.matrix)
            assert loaded[name].flags.writeable


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("layout", ["csc", "csr", "coo"])
@pytest.mark.parametrize("kind", ["matrix", "array"])
def test_a_file_that_today_s_tools_wrote_is_read(
    random_hand: HandModelData, tmp_path: Path, layout: str, kind: str
) -> None:
    content = official_layout(random_hand)
    regressor = getattr(scipy.sparse, f"{layout}_{kind}")(random_hand.J_regressor)
    content |= {"J_regressor": regressor, "v_template": np.matrix(content["v_template"])}
    path = _write(tmp_path / "MANO_RIGHT.pkl", content, protocol=5)
    loaded = load_hand_model(path)
    assert loaded.fingerprint == random_hand.fingerprint
    assert type(loaded.v_template) is np.ndarray


class _Calls:
    """Pickles as a call, which a careless reader executes."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (_Calls(os.mkdir, "executed"), r"'posix\.mkdir'"),
        (_Calls(eval, "__import__('os').mkdir('executed')"), r"'__builtin__\.eval'"),
        (_Calls(getattr, "", "join"), r"'__builtin__\.getattr'"),
        (_Calls(np.load, "x.npy"), r"'numpy(\.\w+)*\.load'"),
        (_Calls(io.FileIO, "executed", "w"), r"'_io\.FileIO'"),
    ],
)
def test_a_malicious_pickle_is_refused_by_the_name_it_calls(
    call: _Calls, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = _write(tmp_path / "MANO_RIGHT.pkl", {"v_template": call})
    with pytest.raises(HandModelError, match=rf"MANO_RIGHT\.pkl: the hand model refers to {named}"):
        load_hand_model(path)
    assert not (tmp_path / "executed").exists()


def _named(module: str, name: str) -> Any:
    """What a pickle gets that holds nothing but a name."""
    return load_restricted(io.BytesIO(f"c{module}\n{name}\n.".encode()), what="meta file")


def test_names_of_old_and_new_libraries_mean_the_same() -> None:
    for core in ("numpy.core", "numpy._core"):
        for module, name in (
            ("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"),
        ):  # fmt: skip
            assert _named(f"{core}.{module}", name) is _named(f"numpy.core.{module}", name)
    for module in ("numpy", "numpy.matrixlib.defmatrix", "numpy.core.defmatrix"):
        assert _named(module, "matrix") is _named("numpy", "ndarray")
    assert _named("copy_reg", "_reconstructor") is _named("copyreg", "_reconstructor")
    for name in ("bytes", "object"):
        assert _named("__builtin__", name) is _named("builtins", name)
    for layout in ("csc", "csr", "coo"):
        for kind in ("matrix", "array"):
            for module in ("scipy.sparse", f"scipy.sparse.{layout}", f"scipy.sparse._{layout}"):
                inert = _named(module, f"{layout}_{kind}")
                assert issubclass(inert, InertObject)
                assert inert.pickled_name == f"{module}.{layout}_{kind}"
    for module in ("chumpy", "chumpy.ch", "chumpy.reordering"):
        assert _named(module, "Ch").pickled_name == f"{module}.Ch"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy", "csc_matrix"), ("scipy.sparse", "lil_matrix"), ("scipy.sparse", "load_npz"),
        ("chumpyx", "Ch"), ("numpy", "_reconstruct"), ("builtins", "eval"),
    ],
)  # fmt: skip
def test_other_names_are_refused(module: str, name: str) -> None:
    with pytest.raises(DataError, match=rf"refers to '{module}\.{name}', which is not plain data"):
        _named(module, name)


def test_a_state_that_is_no_dictionary_of_attributes_is_dropped() -> None:
    inert = load_restricted(io.BytesIO(b"cchumpy\nCh\n)\x81K\x05b."), what="meta file")
    assert vars(inert) == {}


@pytest.mark.parametrize(
    ("pickled", "reason"),
    [
        (b"P", "ValueError"),
        (b"K\x01K\x02R.", "TypeError"),  # a call of a number
        (b"X\x02\x00\x00\x00-1h\x05.", "UnpicklingError"),  # what was never numbered
        (b"\x80\x02K\x01", "ValueError"),
        (b"]K\x05K\x01s.", "IndexError"),  # an entry beyond a list's end
        (b"K\x01K\x01K\x01s.", "TypeError"),  # an entry of a number
        (b"K\x01}b.", "AttributeError"),  # a number's attributes
        (b"Ione\n.", "ValueError"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "ValueError"),  # bytes without end
        (b"]r\x00\x00\x00\x7f.", "ValueError"),  # a table of seventeen gigabytes
        (b"]p2130706432\n.", "ValueError"),
    ],
)
def test_whatever_ends_the_reading_is_told_with_the_file(
    tmp_path: Path, pickled: bytes, reason: str
) -> None:
    path = tmp_path / "meta.pkl"
    path.write_bytes(pickled)
    with pytest.raises(DataError, match=rf"meta\.pkl: the meta file must be .* \({reason}: "):
        load_restricted(path, what="meta file")
    with path.open("rb") as file, pytest.raises(DataError, match=rf"meta\.pkl: .* \({reason}: "):
        load_restricted(file, what="meta file")
    with pytest.raises(DataError, match=rf"^stream: the meta file must be .* \({reason}: "):
        load_restricted(io.BytesIO(pickled), what="meta file")


@pytest.mark.parametrize("module_and_name", [b"_codecs\nencode", b"numpy.core.multiarray\nscalar"])
def test_what_a_pickle_may_call_it_cannot_change(module_and_name: bytes) -> None:
    """A state of two dictionaries would set attributes, of a function its defaults."""
    state = pickle.dumps((None, {"__defaults__": ("rot13",)}), protocol=2)[2:-1]
    with pytest.raises(DataError, match=r"\(ValueError: a function has no state\)"):
        load_restricted(
            io.BytesIO(b"c" + module_and_name + b"\n" + state + b"b."), what="meta file"
        )


@pytest.mark.parametrize(
    "pickled",
    [
        b"c_codecs\nencode\nX\x01\x00\x00\x00a]%s\x86R.",
        b"cnumpy.core.multiarray\nscalar\n]%sX\x01\x00\x00\x00a\x86R.",
        b"cnumpy.core.multiarray\n_reconstruct\n]%sNN\x87R.",
        b"ccopy_reg\n_reconstructor\n]%sNN\x87R.",
    ],
)
def test_an_error_names_what_was_found_and_does_not_write_it_out(pickled: bytes) -> None:
    """Forty pairs, each of the one before with itself: written out, terabytes."""
    nested = b"2\x86" * 40
    with pytest.raises(DataError) as refused:
        load_restricted(io.BytesIO(pickled % nested), what="meta file")
    assert len(str(refused.value)) < 500


def test_codecs_and_reconstructors_are_no_way_around() -> None:
    zipped = b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R."
    with pytest.raises(DataError, match="the codec 'zip'"):
        load_restricted(io.BytesIO(zipped), what="meta file")
    rebuilt = b"\x80\x02ccopy_reg\n_reconstructor\ncnumpy\nndarray\nc__builtin__\nobject\nN\x87R."
    with pytest.raises(DataError, match="the reconstruction of 'an array'"):
        load_restricted(io.BytesIO(rebuilt), what="meta file")
    posing = b"cchumpy\nCh\n)\x81}" + _pickled_text(b"dtype") + _pickled_text(b"V8") + b"sb"
    number = b"\x80\x02cnumpy.core.multiarray\nscalar\n" + posing + b"U\x08AAAAAAAA\x86R."
    with pytest.raises(DataError, match="must be a NumPy type, got a value of type Ch"):
        load_restricted(io.BytesIO(number), what="meta file")
    made = rebuilt.replace(b"cnumpy\nndarray", b"c__builtin__\nobject")
    with pytest.raises(DataError, match="the reconstruction of <class 'object'>"):
        load_restricted(io.BytesIO(made), what="meta file")


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1])
def test_a_truncated_file_is_refused(exported: Path, kept: float) -> None:
    whole = exported.read_bytes()
    exported.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else int(kept)])
    with pytest.raises(HandModelError, match=r"must be a complete pickle.*download it again"):
        load_hand_model(exported)


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "licence.pkl"
    text.write_text("Please register at https://mano.is.tue.mpg.de\n" * 20)
    with pytest.raises(HandModelError, match=r"licence\.pkl: the hand model must be a complete"):
        load_hand_model(text)
    with pytest.raises(HandModelError, match="must be a dictionary, got list"):
        load_hand_model(_write(tmp_path / "list.pkl", [1, 2]))
    with pytest.raises(HandModelError, match=r"cannot be read .*irectory\), there is a folder;"):
        load_hand_model(tmp_path)
    archive = tmp_path / "MANO_RIGHT.npz"
    np.savez(archive, v_template=np.zeros((778, 3)))
    with pytest.raises(HandModelError, match=r"there is a zip archive \(an \.npz file.*right file"):
        load_hand_model(archive)
    (tmp_path / "link.pkl").symlink_to(tmp_path / "gone.pkl")
    with pytest.raises(
        HandModelError, match=r"there is a symbolic link to .*gone\.pkl, which does"
    ):
        load_hand_model(tmp_path / "link.pkl")


def test_missing_keys_are_named_together(random_hand: HandModelData, tmp_path: Path) -> None:
    content = official_layout(random_hand)
    del content["hands_mean"], content["posedirs"]
    path = _write(tmp_path / "SMPL.pkl", content)
    with pytest.raises(HandModelError, match=r"SMPL\.pkl: the keys posedirs, hands_mean are miss"):
        load_hand_model(path)
    with pytest.raises(HandModelError, match=r"v_template, .*, kintree_table are .* found none;"):
        load_hand_model(_write(path, {}))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("posedirs", np.zeros((778, 3, 207)), r"posedirs must have shape \(778, 3, 135\), got"),
        ("v_template", np.full((778, 3), np.nan), "v_template must be finite"),
        ("v_template", "a string", "v_template must be an array, got str"),
        ("weights", np.full((778, 16), "x"), "weights must hold numbers, got the type <U1"),
        ("f", np.zeros((1538, 3)), "f must hold integers, got the type float64"),
        ("f", np.full((1538, 3), 778, np.uint32), "faces must name vertices 0 to 777"),
        ("J_regressor", scipy.sparse.csc_matrix((16, 700)), "J_regressor cannot be turned into"),
    ],
)
def test_wrong_arrays_are_refused_by_key(
    random_hand: HandModelData, tmp_path: Path, key: str, value: object, message: str
) -> None:
    path = _write(tmp_path / "MANO_RIGHT.pkl", official_layout(random_hand) | {key: value})
    with pytest.raises(HandModelError, match=rf"MANO_RIGHT\.pkl: .*{message}"):
        load_hand_model(path)


@pytest.mark.parametrize("layout", ["csc", "csr"])
@pytest.mark.parametrize("index", [9999, -1])
def test_a_damaged_sparse_matrix_is_refused(
    random_hand: HandModelData, tmp_path: Path, layout: str, index: int
) -> None:
    """Indices beyond the matrix crash SciPy's compiled code; here they are an error."""
    matrix = getattr(scipy.sparse, f"{layout}_matrix")(random_hand.J_regressor)
    matrix.indices[0] = index
    content = official_layout(random_hand) | {"J_regressor": matrix}
    with pytest.raises(HandModelError, match="J_regressor cannot be turned into an array"):
        load_hand_model(_write(tmp_path / "MANO_RIGHT.pkl", content))


def test_the_left_hand_is_refused(random_hand: HandModelData, tmp_path: Path) -> None:
    content = official_layout(random_hand)
    content["v_template"] = random_hand.v_template * [-1, 1, 1]
    path = _write(tmp_path / "MANO_LEFT.pkl", content)
    with pytest.raises(HandModelError, match=r"this is a left hand: give the path of MANO_RIGHT"):
        load_hand_model(path)


@pytest.mark.parametrize(
    ("wrist", "middle", "others", "is_left"),
    [(-0.2, -0.1, -0.3, True), (-0.1, -0.2, 0.1, False), (-0.1, -0.2, -0.3, False)],
)
def test_the_wrist_and_the_middle_finger_tell_the_hand(
    random_hand: HandModelData,
    tmp_path: Path,
    *,
    wrist: float,
    middle: float,
    others: float,
    is_left: bool,
) -> None:
    places = np.zeros((778, 3))
    places[:16, 0] = others
    places[[0, 4], 0] = wrist, middle
    joints = scipy.sparse.csc_matrix(np.eye(16, 778))  # the first vertices
    content = official_layout(random_hand) | {"v_template": places, "J_regressor": joints}
    path = _write(tmp_path / "MANO.pkl", content)
    if is_left:
        with pytest.raises(HandModelError, match=r"lies at x = -0\.100 m and the wrist at -0\.2"):
            load_hand_model(path)
    else:
        load_hand_model(path)


def test_a_failed_export_leaves_nothing_behind(
    random_hand: HandModelData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HandModelError, match=r"cannot be written .*choose a folder that exists"):
        export_hand_model(random_hand, tmp_path / "absent" / "MANO_RIGHT.pkl")

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(HandModelError, match="No space left on device"):
        export_hand_model(random_hand, tmp_path / "MANO_RIGHT.pkl")
    assert list(tmp_path.iterdir()) == []
