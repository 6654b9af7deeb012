import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("at any speed", deadline=None)
settings.load_profile("at any speed")
settings.register_profile("fuzz", max_examples=10_000)  # see changed_files.py

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden/")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of this name in ``tests/golden/``."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} is missing; make it with: pytest --update-golden"
        assert text == path.read_text(encoding="utf-8")

    return compare


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    places = (folder, *folder.parents)
    before = {place: stat.S_IMODE(place.stat().st_mode) for place in places}
    wanted = {place: 0 if place == folder else mode | 0o001 for place, mode in before.items()}
    changed = [place for place in places if wanted[place] != before[place]]
    is_root = os.geteuid() == 0
    for place in changed:
        place.chmod(wanted[place])
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for place in reversed(changed):
            place.chmod(before[place])


@pytest.fixture
def locked() -> Callable[[Path], AbstractContextManager[None]]:
    """Have no right to look into a folder; root, whom nothing stops, is somebody else meanwhile."""
    return _locked


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch sum in one order, so that the same computation gives the same bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
