"""The folder that holds everything that runs produce."""

from dataclasses import dataclass
from pathlib import Path

from s2hand_platform.errors import SpecError
from s2hand_platform.paths import local_path
from s2hand_platform.settings import WORKSPACE

_NOT_IN_ADDRESSES = "?#%"
"""The databases' and artifacts' addresses are made of the path, and would end elsewhere."""


@dataclass(frozen=True)
class Workspace:
    """Paths below one root; folders are made when first asked for."""

    root: Path

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
        return self._folder("store")

    @property
    def checkpoints_dir(self) -> Path:
        """One folder per trial, named by its id."""
        return self._folder("checkpoints")

    @property
    def stages_dir(self) -> Path:
        """One folder per stage that several trials may share, named by its id."""
        return self._folder("stages")

    @property
    def data_dir(self) -> Path:
        """Datasets, one folder each."""
        return self._folder("data")

    @property
    def cache_dir(self) -> Path:
        """What can be deleted at any time."""
        return self._folder("cache")

    @property
    def artifacts_dir(self) -> Path:
        """MLflow's artifacts."""
        return self._folder("mlartifacts")

    @property
    def mlflow_uri(self) -> str:
        """The embedded MLflow database, as a tracking URI."""
        self.root.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self.root / 'mlflow.db'}"

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder
