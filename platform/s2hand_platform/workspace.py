"""The folder that holds everything that runs produce."""

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from s2hand_platform.errors import SpecError
from s2hand_platform.paths import local_path
from s2hand_platform.settings import WORKSPACE

_NOT_IN_ADDRESSES = "?#%"
"""The databases' and artifacts' addresses are made of the path, and would end elsewhere."""
_REMEDY = "name another, as S2HAND_WORKSPACE does too, or change its permissions"


@dataclass(frozen=True)
class Workspace:
    """Paths below one root; whoever writes makes the folders, and who reads leaves no trace."""

    root: Path

    def __post_init__(self) -> None:
        """Check that it is a folder, if it is there.

        Raises:
            SpecError: if it is something else, or cannot be looked into.
        """
        try:
            is_other = self.root.exists() and not self.root.is_dir()
        except OSError as error:
            raise SpecError(
                [f"the workspace {self.root} cannot be looked into ({error.strerror}); {_REMEDY}"]
            ) from error
        if is_other:
            raise SpecError([f"the workspace must be a folder, {self.root} is a file; {_REMEDY}"])

    @classmethod
    def resolve(cls, path: str | Path | None = None) -> "Workspace":
        """Take ``path``, or else ``S2HAND_WORKSPACE``, or else ``./workspace``.

        Raises:
            SpecError: if that is no path on a disk, or one that cannot be part of an address.
        """
        chosen = WORKSPACE.choose(path)
        root = local_path(chosen.value, chosen.source).resolve()
        unfit = [each for each in str(root) if each in _NOT_IN_ADDRESSES or not each.isprintable()]
        if unfit:
            fault = f"{chosen.source}: the workspace's path must not hold {unfit[0]!r}, or MLflow's"
            raise SpecError([f"{fault} database in it has no address; got {str(root)!r}"])
        return cls(root)

    @property
    def store_dir(self) -> Path:
        """The Parquet result store."""
        return self.root / "store"

    @property
    def checkpoints_dir(self) -> Path:
        """One folder per trial, named by its id."""
        return self.root / "checkpoints"

    @property
    def stages_dir(self) -> Path:
        """One folder per stage that several trials may share, named by its id."""
        return self.root / "stages"

    @property
    def data_dir(self) -> Path:
        """Datasets, one folder each."""
        return self.root / "data"

    @property
    def cache_dir(self) -> Path:
        """What can be deleted at any time."""
        return self.root / "cache"

    @property
    def artifacts_dir(self) -> Path:
        """MLflow's artifacts."""
        return self.root / "mlartifacts"

    def report_dir(self, name: str, label: str) -> Path:
        """What is written of a table for people, under the words of the command that ran it."""
        words = re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-")[:40]
        digest = hashlib.sha256(label.encode()).hexdigest()[:8]
        return self.root / "reports" / f"{name}-{words}-{digest}"

    @property
    def mlflow_uri(self) -> str:
        """The embedded MLflow database, as a tracking URI."""
        self.root.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self.root / 'mlflow.db'}"

    def require_writable(self) -> None:
        """Make the folders of results, and check that files can be made there.

        Raises:
            SpecError: if not, with the reason.
        """
        for folder in (self.root, self.store_dir, self.checkpoints_dir, self.stages_dir):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except OSError as error:
                raise SpecError(
                    [f"the workspace's {folder} cannot be written to ({error.strerror}); {_REMEDY}"]
                ) from error
