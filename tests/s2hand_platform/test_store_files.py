"""Single files of a store: how they are written, named, opened and cleared away."""

import errno
import os
import pickle
import time
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from s2hand_platform.errors import StoreError
from s2hand_platform.store import files
from s2hand_platform.store.files import UnusableFile, reading
from s2hand_platform.store.schema import CODE, VERSION_KEY

TABLE = pa.table(
    {"fingerprint": ["f"] * 99, "module": [f"m{n}" for n in range(99)], "sha256": ["0"] * 99},
    schema=CODE,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return files.write_named(TABLE, tmp_path / "new" / "code", "f")


def damaged(path: Path, place: int) -> Path:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    return path


def opened(path: Path, **settings: object) -> str:
    """Return what opening a file meets."""
    try:
        with reading(path, **settings):  # type: ignore[arg-type]
            return "opened"
    except UnusableFile as fault:
        return fault.reason


def test_a_name_ends_in_the_checksums_of_the_footer_and_of_all_bytes(path: Path) -> None:
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - length :]
    assert path.name == f"f.{zlib.crc32(footer):08x}{zlib.crc32(content):08x}.parquet"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"
    assert files.read_whole(path, CODE).equals(TABLE)


def test_what_is_renamed_is_on_the_disk_and_then_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "code" / "f.parquet"
    synced = []

    def sync(descriptor: int) -> None:
        is_folder = Path(f"/proc/self/fd/{descriptor}").resolve() == path.parent
        synced.append(("folder" if is_folder else os.fstat(descriptor).st_size, path.exists()))

    monkeypatch.setattr(files.os, "fsync", sync)
    before = len(list(Path("/proc/self/fd").iterdir()))
    files.write_replacing(TABLE, path)
    assert synced == [(path.stat().st_size, False), ("folder", True)]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    files.write_replacing(TABLE.slice(0, 1), path)
    assert len(files.read_whole(path, CODE)) == 1


def test_small_files_are_checked_whole_and_of_large_ones_the_footer(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no = "damaged (it does not have the checksum in its name)"
    assert [opened(path, checked=checked) for checked in ("none", "small", "all")] == ["opened"] * 3
    damaged(path, 10)  # in a page
    assert [opened(path, checked=checked) for checked in ("none", "small", "all")] == [
        "opened", no, no,
    ]  # fmt: skip
    size = path.stat().st_size
    for limit, found in ((size, no), (size - 1, "opened")):
        monkeypatch.setattr(files, "_SMALL_BYTES", limit)
        assert opened(path) == opened(path, checked="small") == found
        assert [opened(path, checked="none"), opened(path, checked="all")] == ["opened", no]
    damaged(path, -20)  # in the footer
    assert [opened(path, checked=checked) for checked in ("none", "small", "all")] == [no] * 3


def test_every_changed_byte_of_a_page_is_noticed_as_it_is_read(path: Path) -> None:
    content = path.read_bytes()
    group = pq.read_metadata(path).row_group(0)
    for column in (group.column(index) for index in range(group.num_columns)):
        start = column.dictionary_page_offset or column.data_page_offset
        end = start + column.total_compressed_size
        for place in range(end - 12, end):
            damaged(path, place)
            with (
                pytest.raises(UnusableFile, match="damaged"),
                reading(path, checked="none") as file,
            ):
                file.read(columns=[column.path_in_schema])
            path.write_bytes(content)


def test_a_file_without_checksums_in_its_name_is_opened(path: Path) -> None:
    plain = path.rename(path.with_name("plain.parquet"))
    assert [opened(plain, checked=checked) for checked in ("none", "small", "all")] == (
        ["opened"] * 3
    )


@pytest.mark.parametrize(
    ("version", "found"),
    [(b"1", "opened"), (b"2", "opened"), (b"3", "written by version 3"),
     (b"two", "a Parquet file, but none of the result store"),
     (None, "a Parquet file, but none of the result store")],
)  # fmt: skip
def test_versions_are_told_apart(tmp_path: Path, version: bytes | None, found: str) -> None:
    path = tmp_path / "any.parquet"
    metadata = {VERSION_KEY: version} if version else None
    table = TABLE.replace_schema_metadata(metadata)
    pq.write_table(table, path, store_schema=version is not None)
    assert opened(path).startswith(found)


@pytest.mark.parametrize(
    "error",
    [ValueError, KeyError, TypeError, IndexError, NotImplementedError, OSError],
)
def test_what_arrow_raises_over_wrong_bytes_is_damage(path: Path, error: type[Exception]) -> None:
    with pytest.raises(UnusableFile, match=r"f\..*: damaged \('?it is cut") as info, reading(path):
        raise error("it is cut")
    assert (info.value.path, info.value.fault) == (path, "damaged")


def test_of_what_arrow_says_the_first_line_is_told(path: Path) -> None:
    with pytest.raises(UnusableFile) as info, reading(path):
        raise ValueError("\n it is cut \nat byte 3\n")
    assert info.value.reason == "damaged (it is cut )"


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), StoreError("full"), RuntimeError()])
def test_other_errors_are_told_as_they_are(path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as info, reading(path):
        raise error
    assert info.value is error


def test_a_disk_that_gives_no_file_is_told_from_damage(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as info, reading(path):
        raise OSError(errno.EIO, "Input/output error")
    assert str(info.value).startswith(
        f"cannot read the result store at {path}: Input/output error;"
    )
    assert type(info.value) is StoreError
    assert opened(tmp_path) == "a folder, where a file should be"


def test_the_error_crosses_processes(path: Path) -> None:
    error = UnusableFile(path, "foreign", "no store's")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is UnusableFile
    assert (again.path, again.fault, again.reason) == (path, "foreign", "no store's")
    assert str(again) == str(error) == f"{path}: no store's"


def test_columns_of_other_types_are_foreign_and_missing_ones_null(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    files.write_replacing(TABLE.drop_columns("module"), path)
    read = files.read_whole(path, CODE)
    assert read.schema == CODE
    assert read["module"].null_count == len(read) == 99
    numbers = TABLE.drop_columns("module").append_column("module", pa.array(range(99)))
    files.write_replacing(numbers, path)
    with pytest.raises(UnusableFile, match="column 'module' must be string, found int64"):
        files.read_whole(path, CODE)
    with pytest.raises(UnusableFile, match=r"must have the columns sha256, at$"):
        files.check_present(path, ["module"], ["module", "sha256", "at"])
    files.check_present(path, ["module", "at"], ["at"])


def test_only_finished_files_are_listed_sorted(tmp_path: Path) -> None:
    for name in ("b.parquet", ".writing-1", "a.parquet", "c.json"):
        (tmp_path / name).touch()
    assert files.parquet_names(tmp_path) == ["a.parquet", "b.parquet"]
    assert files.parquet_files(tmp_path) == [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    assert files.temporary_files(tmp_path) == [tmp_path / ".writing-1"]
    assert files.parquet_names(tmp_path / "none") == []


def test_what_is_old_enough_is_removed_whoever_is_quicker(tmp_path: Path) -> None:
    ages = {"young": 50, "old": 150, "gone": 150}
    for name, age in ages.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    for _ in range(2):
        files.remove(tmp_path / "gone")
    files.remove_older_than([tmp_path / name for name in ("gone", "young", "old")], 100)
    assert [path.name for path in tmp_path.iterdir()] == ["young"]
