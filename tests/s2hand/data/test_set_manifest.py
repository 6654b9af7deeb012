"""A manifest beside a set is found, read or refused; none is passed over in silence."""

import json

import pytest

from s2hand.data.manifest import find_manifest, manifest_content
from s2hand.errors import DataError

PARAMETERS = {"generator_version": 3, "seed": 0}
DIGESTS = {"freihand/a.json": "1" * 64}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "set" / "freihand"
    made.mkdir(parents=True)
    return made


def test_the_set_s_own_manifest_is_found_also_through_a_link(folder, tmp_path):
    content = manifest_content(PARAMETERS, DIGESTS, {"freihand/a.json": 5})
    (folder.parent / "manifest.json").write_bytes(content)
    link = tmp_path / "elsewhere" / "mine"
    link.parent.mkdir()
    link.symlink_to(folder)
    for place in (folder, link):
        manifest, prefix = find_manifest(place)
        assert (prefix, manifest.folder) == ("freihand/", folder.parent)
        assert (manifest.parameters, manifest.files) == (PARAMETERS, DIGESTS)
        assert manifest.sizes == {"freihand/a.json": 5}


@pytest.mark.parametrize(
    "content",
    [
        manifest_content(PARAMETERS, {"ho3d/a.json": "1" * 64}, {}),  # another set's
        b'{"name": "of another program", "files": []}',
        b"[]",
        b"1",
    ],
)
def test_what_is_not_this_set_s_manifest_says_nothing_of_it(folder, content):
    (folder.parent / "manifest.json").write_bytes(content)
    assert find_manifest(folder) is None


def test_no_manifest_is_no_generated_set(folder):
    assert find_manifest(folder) is None
    assert find_manifest(folder.parent / "nothing" / "freihand") is None


WHOLE = manifest_content(PARAMETERS, DIGESTS, {"freihand/a.json": 5})


@pytest.mark.parametrize(
    "content",
    [
        WHOLE[:-20],
        b"",
        b"\x00\xff",
        b"[" * 100_000,
        json.dumps({"parameters": {}, "files": DIGESTS}).encode(),
        json.dumps({"parameters": PARAMETERS, "files": []}).encode(),
        json.dumps({"parameters": PARAMETERS, "files": DIGESTS, "sizes": {"a": "x"}}).encode(),
    ],
)
def test_a_damaged_manifest_is_named_with_what_to_do(folder, content):
    path = folder.parent / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        find_manifest(folder)
    message = str(raised.value)
    assert message.startswith(f"{path}: must be what `s2hand data make synthetic` writes")
    assert "if the file is no part of one, move it away" in message


def test_something_else_of_that_name_is_told(folder):
    (folder.parent / "manifest.json").mkdir()
    with pytest.raises(DataError, match=r"manifest\.json: must be .* \(Is a directory\)"):
        find_manifest(folder)


def test_a_manifest_that_may_not_be_read_is_told(folder, monkeypatch):
    path = folder.parent / "manifest.json"
    path.write_bytes(WHOLE)
    refused = PermissionError(13, "Permission denied")

    def refuse(self, *_args, **_options):
        raise refused

    monkeypatch.setattr(type(path), "read_bytes", refuse)
    with pytest.raises(DataError, match=r"manifest\.json: must be .* \(Permission denied\)"):
        find_manifest(folder)
