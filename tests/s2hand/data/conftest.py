import pytest
from blobs import blob_table


@pytest.fixture
def collection(tmp_path):
    return blob_table(tmp_path, width=160, height=160, cropped=False)


@pytest.fixture
def sequence(tmp_path):
    return blob_table(tmp_path, width=320, height=240, cropped=True)
