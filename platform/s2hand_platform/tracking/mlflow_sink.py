"""The one door to MLflow: a run per table row or search, below it a run per attempt."""

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Finite waits; and the standard output belongs to tables and JSON."""
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)
try:
    Path.home()
except RuntimeError:  # a container's user without a name; MLflow cannot be imported then
    os.environ["HOME"] = "/nonexistent"

from filelock import FileLock  # noqa: E402 - MLflow reads the variables above when imported
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param, Run  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from PIL import Image  # noqa: E402

from s2hand_platform.store.results import ResultStore  # noqa: E402
from s2hand_platform.tracking.spool import Operation, Spool, TrackerAwayError  # noqa: E402
from s2hand_platform.tracking.writer import SpoolingSink  # noqa: E402
from s2hand_platform.trials.pictures import PictureFile, read_pictures  # noqa: E402
from s2hand_platform.workspace import Workspace  # noqa: E402

_BATCH = 1000
"""Metrics per call: the API's limit."""
_PARAMS = 100
"""Parameters per call: the API's limit."""
_PARAM_LENGTH = 6000
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "stopped_early": "KILLED"}
_ENDED = frozenset(_STATUS.values())
_REFUSALS = frozenset(
    {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"}
)
"""Answers that will not change: the operation is dropped, for the store has the numbers."""

_LOG = logging.getLogger(__name__)


def mlflow_sink(workspace: Workspace, *, data: str, uri: str | None = None) -> SpoolingSink:
    """Make a sink that writes to MLflow.

    Args:
        workspace: of the run; holds the spool, and the database where there is no ``uri``.
        data: what is measured on; rows of the same table on other data are other runs.
        uri: MLflow's tracking URI; None is the database in the workspace.
    """
    chosen = uri or workspace.mlflow_uri
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return SpoolingSink(
        Spool(workspace.root, chosen), MlflowRuns(workspace, chosen).apply, data=data
    )


class MlflowRuns:
    """Applies operations to MLflow's runs.

    Runs are found by their tags, metrics are keyed by name, step and time, and pictures by name and
    step, so that applying an operation twice changes nothing.
    """

    def __init__(self, workspace: Workspace, uri: str) -> None:
        """Write to ``uri``; nothing is opened before the first operation."""
        self._workspace = workspace
        self._uri = uri
        self._opened: MlflowClient | None = None
        self._experiments: dict[str, str] = {}
        self._run_ids: dict[tuple[str, ...], str] = {}
        self._pictures: dict[str, set[tuple[str, int]]] = {}
        self._without_pictures: set[str] = set()

    def apply(self, operation: Operation) -> None:
        """Apply one operation.

        Raises:
            TrackerAwayError: if MLflow does not answer.
        """
        try:
            self._apply(operation)
        except MlflowException as error:
            self._run_ids.clear()
            if error.error_code not in _REFUSALS:
                raise TrackerAwayError(f"MLflow at {self._uri} does not answer") from error
            _LOG.warning("MLflow refused '%s': %s", operation["op"], error)
        except OSError as error:
            raise TrackerAwayError(f"MLflow at {self._uri} does not answer: {error}") from error

    def _apply(self, operation: Operation) -> None:
        match operation["op"]:
            case "parent":
                self._parent(operation)
            case "summary":
                run_id = self._parent(operation)
                self._log(run_id, operation["values"], operation)
                if operation["kind"] == "point":
                    self._client.set_tag(run_id, "search.best", operation["name"])
                self._client.set_terminated(run_id, "FINISHED", operation["time_ms"])
            case "start":
                self._child(operation)
            case "metrics":
                points = [Metric(*point) for point in _in_mlflow_order(operation["points"])]
                run_id = self._child(operation)
                self._log_metrics(run_id, points)
                self._log_pictures(run_id, operation)
            case "end":
                self._end(operation)
            case "stored":
                self._stored(operation)
            case unknown:
                _LOG.warning("dropped what an older version wanted to tell: '%s'", unknown)

    @property
    def _client(self) -> MlflowClient:
        if self._opened is None:
            # A fresh database must not be made by two processes at once.
            with FileLock(self._workspace.root / "mlflow.lock"):
                client = MlflowClient(self._uri)
                client.search_experiments(max_results=1)
            self._opened = client
        return self._opened

    def _end(self, operation: Operation) -> None:
        run_id = self._child(operation)
        self._log(run_id, operation["values"], operation)
        self._log_pictures(run_id, operation)
        if operation["reason"]:
            self._client.set_tag(run_id, "trial.reason", operation["reason"])
        self._client.set_terminated(run_id, _STATUS[operation["status"]], operation["time_ms"])

    def _stored(self, operation: Operation) -> None:
        """Make the run of a reused trial from the store, unless MLflow has it."""
        store = ResultStore(self._workspace.store_dir)
        outcome = store.last_attempt(operation["trial"], evaluation=operation["evaluation"])
        if outcome is None:
            return
        whole = {**operation, "attempt": outcome.attempt}
        run_id = self._child(whole)
        self._log_pictures(run_id, whole)
        if self._client.get_run(run_id).info.status in _ENDED:
            return
        curve = store.curves([operation["trial"]])
        curve = curve[curve["attempt"] == outcome.attempt]
        time_ms = operation["time_ms"]
        points = [Metric(p.metric, p.value, time_ms, p.epoch) for p in curve.itertuples()]
        self._log_metrics(run_id, points)
        self._end({**whole, "status": outcome.status, "reason": "", "values": outcome.metrics})

    def _log(self, run_id: str, values: Mapping[str, float], operation: Operation) -> None:
        time_ms = operation["time_ms"]
        self._log_metrics(run_id, [Metric(name, v, time_ms, 0) for name, v in values.items()])

    def _log_metrics(self, run_id: str, points: list[Metric]) -> None:
        for first in range(0, len(points), _BATCH):
            self._client.log_batch(run_id, metrics=points[first : first + _BATCH])

    def _log_pictures(self, run_id: str, operation: Operation) -> None:
        """Log what the attempt has drawn and the run does not show.

        Where artifacts lie may be out of reach though MLflow answers. Numbers never wait for
        pictures: a run that cannot get one gets no more of them until another process tries.
        """
        drawn = read_pictures(
            self._workspace.checkpoints_dir / operation["trial"], operation["attempt"]
        )
        if not drawn or run_id in self._without_pictures:
            return
        try:
            if run_id not in self._pictures:
                self._pictures[run_id] = self._pictures_of(run_id)
            for picture in drawn:
                self._log_picture(run_id, picture)
        except Exception as error:  # noqa: BLE001 - every kind of artifact store has its own
            self._without_pictures.add(run_id)
            _LOG.warning("MLflow's run %s lacks pictures: %s", run_id, error)

    def _log_picture(self, run_id: str, picture: PictureFile) -> None:
        key = (picture.name, picture.epoch)
        if key not in self._pictures[run_id]:
            with Image.open(picture.path) as image:
                self._client.log_image(
                    run_id,
                    image,
                    key=picture.name,
                    step=picture.epoch,
                    timestamp=int(picture.path.stat().st_mtime * 1000),
                    synchronous=True,
                )
            self._pictures[run_id].add(key)

    def _pictures_of(self, run_id: str) -> set[tuple[str, int]]:
        """Read name and step from the files of a run; the small copy is written last."""
        names = (Path(file.path).name for file in self._client.list_artifacts(run_id, "images"))
        parts = (name.split("+") for name in names if name.endswith("+compressed.webp"))
        return {(name, int(step)) for name, _, step, *_ in parts}

    def _parent(self, operation: Operation) -> str:
        """Find or make the run above the trials: of a table's row, or of a search."""
        if operation["kind"] == "row":
            name, subject = operation["name"], _row_tags(operation)
        else:
            name, subject = operation["group"], {"search": operation["group"]}
        kind = "row" if operation["kind"] == "row" else "search"
        tags = {**subject, "data": operation["data"], "kind": kind}
        described = {"mlflow.note.content": operation["label"] or name}
        return self._run(operation["group"], tags, described, name)

    def _child(self, operation: Operation) -> str:
        """Find or make the run of an attempt."""
        is_row = operation["kind"] == "row"
        subject = _row_tags(operation) if is_row else {"search": operation["group"]}
        tags = {
            **subject,
            "data": operation["data"],
            "kind": "attempt",
            "trial.id": operation["trial"],
            "trial.attempt": str(operation["attempt"]),
        }
        described = {"seed": str(operation["seed"])}
        if not is_row:
            described["search.point"] = operation["name"]
        name = f"{operation['name']} seed {operation['seed']}"
        key = tuple(tags.values())
        if key not in self._run_ids:
            described["mlflow.parentRunId"] = self._parent(operation)
            run_id = self._run(operation["group"], tags, described, name)
            self._log_params(run_id, {**operation.get("config", {}), "seed": operation["seed"]})
        return self._run_ids[key]

    def _run(
        self, table: str, tags: Mapping[str, str], described: Mapping[str, str], name: str
    ) -> str:
        key = tuple(tags.values())
        if key not in self._run_ids:
            run = self._find(table, tags) or self._client.create_run(
                self._experiment(table), tags={**tags, **described}, run_name=name
            )
            self._run_ids[key] = run.info.run_id
        return self._run_ids[key]

    def _find(self, table: str, tags: Mapping[str, str]) -> Run | None:
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        found = self._client.search_runs([self._experiment(table)], wanted, max_results=1)
        return found[0] if found else None

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            known = self._client.get_experiment_by_name(name)
            if known is not None:
                self._experiments[name] = known.experiment_id
            else:
                embedded = self._uri == self._workspace.mlflow_uri
                folder = self._workspace.artifacts_dir.as_uri() if embedded else None
                self._experiments[name] = self._client.create_experiment(name, folder)
        return self._experiments[name]

    def _log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        known = self._client.get_run(run_id).data.params
        texts = {name: str(value)[:_PARAM_LENGTH] for name, value in params.items()}
        fresh = [Param(name, text) for name, text in texts.items() if name not in known]
        for first in range(0, len(fresh), _PARAMS):
            self._client.log_batch(run_id, params=fresh[first : first + _PARAMS])


def _row_tags(operation: Operation) -> dict[str, str]:
    return {"paper.table": operation["group"], "paper.row": operation["name"]}


def _in_mlflow_order(points: Iterable[Any]) -> Iterable[tuple[str, float, int, int]]:
    """Turn name, value, step, time into the order of MLflow's ``Metric``."""
    return ((name, value, time_ms, step) for name, value, step, time_ms in points)
