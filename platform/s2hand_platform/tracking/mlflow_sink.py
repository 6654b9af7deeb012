"""The one door to MLflow: a run per table row or search, below it a run per attempt."""

import hashlib
import json
import logging
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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
from mlflow.exceptions import InvalidUrlException, MlflowException  # noqa: E402
from PIL import Image  # noqa: E402
from sqlalchemy.exc import DBAPIError  # noqa: E402

from s2hand_platform.errors import SpecError, StoreError  # noqa: E402
from s2hand_platform.store.records import TrackedRun  # noqa: E402
from s2hand_platform.store.results import ResultStore  # noqa: E402
from s2hand_platform.tracking.spool import Operation, Spool, TrackerAwayError  # noqa: E402
from s2hand_platform.tracking.writer import SpoolingSink, first_line  # noqa: E402
from s2hand_platform.trials.pictures import PictureFile, read_pictures  # noqa: E402
from s2hand_platform.workspace import Workspace  # noqa: E402

_BATCH = 1000
"""Metrics per call: the API's limit."""
_PARAMS = 100
"""Parameters per call: the API's limit."""
_PARAM_LENGTH = 6000
_PAGE = 1000
"""Runs per answer, which must be few enough for one request."""
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "stopped_early": "KILLED"}
_ENDED = frozenset(_STATUS.values())
_REFUSALS = frozenset(
    {
        "INVALID_PARAMETER_VALUE",
        "BAD_REQUEST",
        "RESOURCE_DOES_NOT_EXIST",
        "RESOURCE_ALREADY_EXISTS",
        "INVALID_STATE",
    }
)
"""Answers about one operation; the next one may be taken."""
_WRONG_ADDRESS = frozenset(
    {"ENDPOINT_NOT_FOUND", "NOT_FOUND", "PERMISSION_DENIED", "UNAUTHENTICATED"}
)
"""Answers to the first question that another time will not change."""
_IDENTIFYING = (
    "kind",
    "paper.table",
    "paper.row",
    "search",
    "data",
    "trial.id",
    "trial.attempt",
)
"""The tags that tell a run from others."""
_PICTURES = "trial.pictures"
"""The tag that says how many pictures a run shows."""

_FILES = "table.files"
"""The tag that says which files a table's run shows: their digest."""

VIEW = "summary"
"""The name of the view that a table's experiment keeps on MLflow's page."""
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
"""The experiment's tag that holds it."""
VIEW_STATE = json.dumps(
    {
        "selectedColumns": [
            f"metrics.`{name}`" for name in ("mean", "ci_low", "ci_high", "n", "published", "delta")
        ]
    }
)
"""The columns that it shows; MLflow's own choice is no metric at all."""
_NOTE_TAG = "mlflow.note.content"
"""The tag of what MLflow's page shows above an experiment's runs, or a run's description."""
_NOTE = (
    "[Means, intervals and printed values as columns]"
    "(#/experiments/{id}/runs?viewStateShareKey={view})"
)
"""Leads from the runs, where no setting of an experiment chooses the columns, to the view."""

_Key = frozenset[tuple[str, str]]

_LOG = logging.getLogger(__name__)


def mlflow_sink(
    workspace: Workspace,
    *,
    data: str,
    uri: str | None = None,
    say: Callable[[str], None] = _LOG.warning,
) -> SpoolingSink:
    """Make a sink that writes to MLflow.

    Args:
        workspace: of the run; holds the spool, and the database where there is no ``uri``.
        data: what is measured on; rows of the same table on other data are other runs.
        uri: MLflow's tracking URI; None is the database in the workspace.
        say: called with what the user must know, in any thread.

    Raises:
        SpecError: if there cannot be an MLflow at ``uri``; one that is away now may come back.
    """
    quieten()
    runs = MlflowRuns(workspace, uri or workspace.mlflow_uri, say)
    if uri is not None:
        runs.check()
    return SpoolingSink(Spool(workspace.root, runs.uri), runs.apply, data=data, say=say)


def quieten() -> None:
    """Have MLflow log nothing: what is wrong is said once, and by the one who meets it."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def database_lock(workspace: Workspace) -> FileLock:
    """Return what to hold while opening the workspace's database: two must not make it at once."""
    return FileLock(workspace.root / "mlflow.lock")


class MlflowRuns:
    """Applies operations to MLflow's runs.

    Runs are found by their tags, metrics are keyed by name, step and time, and pictures by name and
    step, so that applying an operation twice changes nothing. What MLflow has already is read once,
    with all runs of a table, and not told again.
    """

    def __init__(self, workspace: Workspace, uri: str, say: Callable[[str], None]) -> None:
        """Write to ``uri``; nothing is opened before the first operation."""
        self.uri = uri
        self._say = say
        self._workspace = workspace
        self._opened: MlflowClient | None = None
        self._experiments: dict[str, str] = {}
        self._runs: dict[str, dict[_Key, Run]] = {}
        self._reused: dict[tuple[str, str], int] | None = None
        self._pictures: dict[str, set[tuple[str, int]]] = {}
        self._without_pictures: set[str] = set()
        self._kept_runs: set[str] = set()
        self._store_takes_runs = True

    def check(self) -> None:
        """Look whether MLflow can be there.

        Raises:
            SpecError: if it cannot, with what MLflow says. One that does not answer may do later.
        """
        try:
            self._open()
        except Exception as error:
            if not _is_away(error) or _is_wrong_address(error):
                fault = (
                    f"MLflow's tracking URI must be a server's (http://HOST:PORT) or a database's "
                    f"(sqlite:////PATH), got '{self.uri}'; MLflow says: {first_line(error)}"
                )
                raise SpecError([fault]) from error

    def apply(self, operation: Operation) -> None:
        """Apply one operation.

        Raises:
            TrackerAwayError: if MLflow does not answer, or has nothing to do with this table now.
            Exception: if it does not take this operation.
        """
        try:
            self._open()
        except Exception as error:
            raise self._away(error) from error
        try:
            self._apply_afresh(operation)
        except Exception as error:
            if _is_away(error):
                raise self._away(error) from error
            raise

    def _apply_afresh(self, operation: Operation) -> None:
        """Apply an operation, after a refusal once more with nothing remembered of its table.

        A run or an experiment may have been deleted on the page.
        """
        try:
            self._apply(operation)
        except TrackerAwayError:
            raise
        except Exception as error:
            if _is_away(error):
                raise
            self._runs.pop(operation["group"], None)
            self._experiments.pop(operation["group"], None)
            self._apply(operation)

    def _away(self, error: Exception) -> TrackerAwayError:
        return TrackerAwayError(
            f"MLflow at {self.uri} does not answer, what it is to be told waits: "
            f"{first_line(error)}"
        )

    def _apply(self, operation: Operation) -> None:
        match operation["op"]:
            case "parent":
                self._parent(operation)
            case "summary":
                self._summary(operation)
            case "start":
                self._log_params(self._child(operation), operation)
            case "metrics":
                points = [Metric(*point) for point in _in_mlflow_order(operation["points"])]
                run = self._child(operation)
                self._log_metrics(run, points)
                self._log_pictures(run, operation)
            case "end":
                self._end(operation)
            case "stored":
                self._stored(operation)
            case "files":
                self._files(operation)
            case unknown:
                _LOG.warning("dropped what an older version wanted to tell: '%s'", unknown)

    def _open(self) -> None:
        if self._opened is None:
            with database_lock(self._workspace):
                client = MlflowClient(self.uri)
                client.search_experiments(max_results=1)
            self._opened = client

    @property
    def _client(self) -> MlflowClient:
        assert self._opened is not None
        return self._opened

    def _summary(self, operation: Operation) -> None:
        """Log what has changed since an earlier summary."""
        run = self._parent(operation)
        if (run.info.end_time or 0) > operation["time_ms"]:
            return  # it has waited while a later one was told
        known = run.data.metrics
        values = {n: v for n, v in operation["values"].items() if not _equal(known.get(n), v)}
        best = operation["name"] if operation["kind"] == "point" else None
        is_other = best is not None and run.data.tags.get("search.best") != best
        if values or is_other or run.info.status != "FINISHED":
            self._log(run, values, operation)
            if is_other:
                self._client.set_tag(run.info.run_id, "search.best", best)
            self._client.set_terminated(run.info.run_id, "FINISHED", operation["time_ms"])
            self._forget(run, operation)

    def _end(self, operation: Operation) -> None:
        run = self._child(operation)
        run_id = run.info.run_id
        self._log(run, operation["values"], operation)
        self._log_pictures(run, operation, all_drawn=True)
        if operation["reason"]:
            self._client.set_tag(run_id, "trial.reason", operation["reason"])
        self._client.set_terminated(run_id, _STATUS[operation["status"]], operation["time_ms"])
        self._forget(run, operation)

    def _stored(self, operation: Operation) -> None:
        """Make the run of a reused trial from the store, unless MLflow has it."""
        attempt = self._reused_attempt(operation)
        if attempt is None:
            return
        whole = {**operation, "attempt": attempt}
        run = self._child(whole)
        if run.info.status in _ENDED:
            self._log_pictures(run, whole, all_drawn=True)
            return
        store = ResultStore(self._workspace.store_dir)
        outcome = store.last_attempt(operation["trial"], evaluation=operation["evaluation"])
        if outcome is None or outcome.attempt != attempt:
            return
        self._log_params(run, operation)
        curve = store.curves([operation["trial"]])
        curve = curve[curve["attempt"] == attempt]
        time_ms = operation["time_ms"]
        points = [Metric(p.metric, p.value, time_ms, p.epoch) for p in curve.itertuples()]
        self._log_metrics(run, points)
        self._end({**whole, "status": outcome.status, "reason": "", "values": outcome.metrics})

    def _files(self, operation: Operation) -> None:
        """Show a table's files in a run of its own, and its rows' means first in comparisons."""
        group, folder = operation["group"], Path(operation["folder"])
        tags = {"paper.table": group, "data": operation["data"], "kind": "table"}
        run = self._run(operation, tags, {}, f"{group}, the whole table")
        digest = _digest(folder)
        if digest is None or run.data.tags.get(_FILES) == digest:
            return
        self._describe_experiment(run.info.experiment_id, operation)
        run_id = run.info.run_id
        try:
            self._client.log_artifacts(run_id, str(folder))
            self._client.set_tag(run_id, _FILES, digest)
        except Exception as error:  # noqa: BLE001 - every kind of artifact store has its own
            self._say(f"MLflow's run {run_id} lacks the table's files: {first_line(error)}")
        self._client.set_terminated(run_id, "FINISHED", operation["time_ms"])
        self._forget(run, operation)

    def _describe_experiment(self, experiment: str, operation: Operation) -> None:
        """Tell what a table's experiment is of, and lead to our view; a user's note stays."""
        tags = {
            "mlflow.experimentKind": "custom_model_development",
            "mlflow.experiment.primaryMetric.name": "mean",
            "mlflow.experiment.primaryMetric.greaterIsBetter": str(operation["higher_is_better"]),
            VIEW_TAG: VIEW_STATE,
        }
        if not self._client.get_experiment(experiment).tags.get(_NOTE_TAG):
            tags[_NOTE_TAG] = _NOTE.format(id=experiment, view=VIEW)
        for name, value in tags.items():
            self._client.set_experiment_tag(experiment, name, value)

    def _reused_attempt(self, operation: Operation) -> int | None:
        """Look up which attempt a reused trial's result is of; the store is read once for all."""
        key = (operation["trial"], operation["evaluation"])
        if self._reused is None or key not in self._reused:
            store = ResultStore(self._workspace.store_dir)
            columns = ("trial_id", "evaluation_fingerprint", "attempt", "status")
            found = store.attempts(columns=columns)
            found = found[found["status"] == "finished"]
            last = found.groupby(["trial_id", "evaluation_fingerprint"])["attempt"].max()
            self._reused = {key: int(attempt) for key, attempt in last.items()}
        return self._reused.get(key)

    def _log(self, run: Run, values: Mapping[str, float], operation: Operation) -> None:
        time_ms = operation["time_ms"]
        self._log_metrics(run, [Metric(name, v, time_ms, 0) for name, v in values.items()])

    def _log_metrics(self, run: Run, points: list[Metric]) -> None:
        for first in range(0, len(points), _BATCH):
            self._client.log_batch(run.info.run_id, metrics=points[first : first + _BATCH])

    def _log_params(self, run: Run, operation: Operation) -> None:
        params = {**operation["config"], "seed": operation["seed"]}
        texts = {name: str(value)[:_PARAM_LENGTH] for name, value in params.items()}
        fresh = [Param(name, text) for name, text in texts.items() if name not in run.data.params]
        for first in range(0, len(fresh), _PARAMS):
            self._client.log_batch(run.info.run_id, params=fresh[first : first + _PARAMS])

    def _log_pictures(self, run: Run, operation: Operation, *, all_drawn: bool = False) -> None:
        """Log what the attempt has drawn and the run does not show.

        Where artifacts lie may be out of reach though MLflow answers. Numbers never wait for
        pictures: a run that cannot get one gets no more of them until another process tries.

        Args:
            run: of the attempt.
            operation: naming the attempt.
            all_drawn: the run is marked as showing all, so that nobody needs to look again.
        """
        run_id = run.info.run_id
        drawn = read_pictures(
            self._workspace.checkpoints_dir / operation["trial"], operation["attempt"]
        )
        all_shown = run.data.tags.get(_PICTURES) == str(len(drawn))
        if not drawn or all_shown or run_id in self._without_pictures:
            return
        try:
            if run_id not in self._pictures:
                self._pictures[run_id] = self._pictures_of(run_id)
            for picture in drawn:
                self._log_picture(run_id, picture)
            if all_drawn:
                self._client.set_tag(run_id, _PICTURES, str(len(drawn)))
        except Exception as error:  # noqa: BLE001 - every kind of artifact store has its own
            if not self._without_pictures:
                self._say(f"MLflow's run {run_id} lacks pictures: {first_line(error)}")
            self._without_pictures.add(run_id)

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

    def _parent(self, operation: Operation) -> Run:
        """Find or make the run above the trials: of a table's row, or of a search."""
        if operation["kind"] == "row":
            name, subject = operation["name"], _row_tags(operation)
        else:
            name, subject = operation["group"], {"search": operation["group"]}
        kind = "row" if operation["kind"] == "row" else "search"
        tags = {**subject, "data": operation["data"], "kind": kind}
        described = {_NOTE_TAG: operation["label"] or name}
        return self._run(operation, tags, described, name)

    def _child(self, operation: Operation) -> Run:
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
        described = {
            "seed": str(operation["seed"]),
            "mlflow.parentRunId": self._parent(operation).info.run_id,
        }
        if not is_row:
            described["search.point"] = operation["name"]
        name = f"{operation['name']} seed {operation['seed']}"
        run = self._run(operation, tags, described, name)
        self._keep_run(run.info.run_id, operation)
        return run

    def _keep_run(self, run_id: str, operation: Operation) -> None:
        """Note in the store which run shows an attempt; the tracker never waits for the store."""
        if run_id in self._kept_runs or not self._store_takes_runs:
            return
        tracked = TrackedRun(
            trial_id=operation["trial"],
            attempt=int(operation["attempt"]),
            tracker="" if self.uri == self._workspace.mlflow_uri else _address(self.uri),
            group=operation["group"],
            name=operation["name"],
            run_id=run_id,
        )
        try:
            ResultStore(self._workspace.store_dir).write_tracked(tracked)
        except StoreError as error:
            self._say(f"the store does not take MLflow's run ids: {first_line(error)}")
            self._store_takes_runs = False
        self._kept_runs.add(run_id)

    def _run(
        self, operation: Operation, tags: Mapping[str, str], described: Mapping[str, str], name: str
    ) -> Run:
        """Find or make a run; one that is made begins when what it is told of happened."""
        group, key = operation["group"], _key(tags)
        if group not in self._runs:
            self._runs[group] = self._find(group)
        if key not in self._runs[group]:
            # Another process may have made it since.
            self._runs[group].update(self._find(group, tags))
        if key not in self._runs[group]:
            self._runs[group][key] = self._client.create_run(
                self._experiment(group),
                start_time=operation["time_ms"],
                tags={**tags, **described},
                run_name=name,
            )
        return self._runs[group][key]

    def _find(self, group: str, tags: Mapping[str, str] | None = None) -> dict[_Key, Run]:
        """Read a table's or search's runs; of equal ones, the one that was made last.

        Only words of our own enter the filter, for MLflow has no escape for those of others.
        """
        own = {name: tags[name] for name in ("kind", "trial.id") if name in tags} if tags else {}
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in own.items())
        found: dict[_Key, Run] = {}
        token: str | None = None
        while token != "":
            page = self._client.search_runs(
                [self._experiment(group)], wanted, max_results=_PAGE, page_token=token
            )
            for run in page:
                found.setdefault(_key(run.data.tags), run)
            token = page.token or ""
        return found

    def _forget(self, run: Run, operation: Operation) -> None:
        """Read a run again before it is looked at again."""
        self._runs[operation["group"]].pop(_key(run.data.tags), None)

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            known = self._client.get_experiment_by_name(name)
            if known is None:
                embedded = self.uri == self._workspace.mlflow_uri
                folder = self._workspace.artifacts_dir.as_uri() if embedded else None
                self._experiments[name] = self._client.create_experiment(name, folder)
            elif known.lifecycle_stage == "deleted":
                raise TrackerAwayError(
                    f"MLflow's experiment '{name}' was deleted, what it is to be told waits: "
                    f"restore it (MLFLOW_TRACKING_URI={self.uri} mlflow experiments restore "
                    f"--experiment-id {known.experiment_id}) or, to begin a new one, restore and "
                    "rename it",
                    group=name,
                )
            else:
                self._experiments[name] = known.experiment_id
        return self._experiments[name]


def _is_away(error: Exception) -> bool:
    """Tell whether the tracker may take later what it does not take now."""
    if isinstance(error, MlflowException):
        return error.error_code not in _REFUSALS
    return isinstance(error, OSError | DBAPIError)


def _is_wrong_address(error: Exception) -> bool:
    return isinstance(error, InvalidUrlException) or (
        isinstance(error, MlflowException) and error.error_code in _WRONG_ADDRESS
    )


def _address(uri: str) -> str:
    """Return a tracker's address without what opens it."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _key(tags: Mapping[str, str]) -> _Key:
    return frozenset((name, tags[name]) for name in _IDENTIFYING if name in tags)


def _digest(folder: Path) -> str | None:
    """Return what tells a folder's files from others; None where there are none."""
    files = sorted(path for path in folder.glob("*") if path.is_file())
    content = b"".join(path.name.encode() + b"\0" + path.read_bytes() for path in files)
    return hashlib.sha256(content).hexdigest() if files else None


def _equal(first: float | None, second: float) -> bool:
    return first == second or (first is not None and math.isnan(first) and math.isnan(second))


def _row_tags(operation: Operation) -> dict[str, str]:
    return {"paper.table": operation["group"], "paper.row": operation["name"]}


def _in_mlflow_order(points: Iterable[Any]) -> Iterable[tuple[str, float, int, int]]:
    """Turn name, value, step, time into the order of MLflow's ``Metric``."""
    return ((name, value, time_ms, step) for name, value, step, time_ms in points)
