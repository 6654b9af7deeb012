import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_store import write_search, write_table

from s2hand_platform import settings
from s2hand_platform.store.results import ResultStore


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user's own environment chooses does not steer a test."""
    for name in settings.WORKSPACE.variables:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    """A workspace's store, empty."""
    return ResultStore(tmp_path / "workspace" / "store")


@pytest.fixture
def measured(store: ResultStore) -> ResultStore:
    """The store with a table and a search."""
    write_table(store)
    write_search(store)
    return store
