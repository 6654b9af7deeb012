"""A sink that never waits: one thread writes, and nothing is lost while the tracker is away."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from s2hand_platform.errors import without_passwords
from s2hand_platform.planning.plan import Member, Plan, PlannedTrial
from s2hand_platform.spec.overrides import flatten
from s2hand_platform.store.records import StoredAttempt
from s2hand_platform.tracking.spool import Operation, Spool, TrackerAwayError

FLUSH_INTERVAL_S = 1.0
RETRY_INTERVAL_S = 30.0
NOTICE_AFTER_S = 5.0
PATIENCE_S = 60.0
"""How long closing waits for the tracker to be told one more thing."""

_LINE_LENGTH = 400
_LOG = logging.getLogger(__name__)


class SpoolingSink:
    """Turns what it is told into operations, and has a thread apply them to a tracker.

    What is told goes to a queue; the thread writes it to the spool once a second and applies what
    the spool holds. What the tracker does not take waits there, for this run or a later one to
    apply. Applying an operation twice changes nothing. Nothing that fails in the thread ends it.
    """

    def __init__(
        self,
        spool: Spool,
        apply: Callable[[Operation], None],
        *,
        data: str,
        say: Callable[[str], None] = _LOG.warning,
    ) -> None:
        """Apply operations with ``apply``; one that raises is kept.

        Args:
            spool: where operations wait.
            apply: called in the thread; raises ``TrackerAwayError`` if others must wait too.
            data: what is measured on; rows of the same table on other data are other runs.
            say: called with what the user must know, in the thread too.
        """
        self._data = data
        self._spool = spool
        self._apply = apply
        self._say = say
        self._queue: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._unwritten: list[dict[str, Any]] = []
        self._writing = threading.Lock()
        self._num_told = 0
        self._complaints: set[tuple[type, str | None]] = set()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def num_spooled(self) -> int:
        """Operations that the tracker has not been told yet; meaningful once closed."""
        try:
            return len(self._spool)
        except OSError:
            return 0

    @property
    def num_unwritten(self) -> int:
        """Operations that could not even be kept in the spool; meaningful once closed."""
        return len(self._unwritten)

    @property
    def spool_path(self) -> Path:
        """Where operations wait."""
        return self._spool.path

    def begin(self, plan: Plan) -> None:
        """Start the thread; make the rows' runs, and those of reused trials that have none."""
        self._start()
        for row in plan.rows:
            self._put("parent", Member(kind="row", group=row.table, name=row.row, label=row.label))
        for trial in plan.trials:
            if trial.status == "cached":
                self._put_child(
                    "stored",
                    trial,
                    evaluation=trial.evaluation_fingerprint,
                    config=flatten(trial.config),
                )

    def started(self, trial: PlannedTrial, attempt: int) -> None:
        """Make the attempt's run."""
        self._put_child("start", trial, attempt=attempt, config=flatten(trial.config))

    def reported(
        self, trial: PlannedTrial, attempt: int, epoch: int, metrics: Mapping[str, float]
    ) -> None:
        """Log the metrics of an epoch."""
        now = int(time.time() * 1000)
        points = [[name, value, epoch, now] for name, value in metrics.items()]
        self._put_child("metrics", trial, attempt=attempt, points=points)

    def ended(
        self, trial: PlannedTrial, outcome: StoredAttempt, *, tried_again: bool = False
    ) -> None:
        """Log the final metrics and end the attempt's run."""
        del tried_again  # another attempt is another run
        self._put_child(
            "end",
            trial,
            attempt=outcome.attempt,
            status=outcome.status,
            reason=outcome.reason,
            values=dict(outcome.metrics),
        )

    def summarise(
        self, kind: Literal["row", "point"], group: str, name: str, values: Mapping[str, float]
    ) -> None:
        """Log what a table's row, or a search, has come to, to the run above its trials.

        Args:
            kind: ``row`` of the table ``group``, or the best ``point`` of the search ``group``.
            group: the table's or search's name.
            name: the row's id, or the point's values.
            values: what to log.
        """
        self._put("summary", Member(kind=kind, group=group, name=name, label=""), values=values)

    def attach(self, group: str, folder: Path, *, higher_is_better: bool) -> None:
        """Show the files of a folder in a run of the table's own, above all others.

        Args:
            group: the table's name.
            folder: read when the tracker takes it; a later one of the same table counts.
            higher_is_better: whether it is in the column that the rows' ``mean`` is of.
        """
        member = Member(kind="row", group=group, name="", label="")
        self._put("files", member, folder=str(folder), higher_is_better=higher_is_better)

    def close(self) -> None:
        """Wait while the tracker is being told things; what it is not told stays in the spool."""
        if self._thread is None:
            return
        self._closing.set()
        try:
            self._thread.join(NOTICE_AFTER_S)
            if self._thread.is_alive():
                self._say(
                    f"telling MLflow what it does not know yet, {self.num_spooled} entries; "
                    "Ctrl-C leaves them to the next run"
                )
            told = None
            while self._thread.is_alive() and told != self._num_told:
                told = self._num_told
                self._thread.join(PATIENCE_S)
        finally:
            self._thread = None
            self._write()

    def _start(self) -> None:
        if self._thread is None:
            self._closing.clear()
            self._thread = threading.Thread(target=self._run, name="tracking", daemon=True)
            self._thread.start()

    def _put(self, what: str, member: Member, **fields: Any) -> None:
        place = {**asdict(member), "data": self._data}
        self._queue.put({"op": what, "time_ms": int(time.time() * 1000), **place, **fields})

    def _put_child(self, what: str, trial: PlannedTrial, **fields: Any) -> None:
        for member in trial.members:
            self._put(what, member, trial=trial.trial_id, seed=trial.seed, **fields)

    def _run(self) -> None:
        """Run in the thread. All goes through the spool, which is a log written ahead."""
        retry_at = 0.0
        closing = False
        while not closing:
            closing = self._closing.wait(FLUSH_INTERVAL_S)
            self._write()
            if closing or time.monotonic() >= retry_at:
                try:
                    all_told = self._tell(wait=closing)
                except Exception as error:  # noqa: BLE001 - of the spool's disk
                    self._complain("the entries for MLflow cannot be read", error)
                    all_told = False
                if not all_told:
                    retry_at = time.monotonic() + RETRY_INTERVAL_S

    def _write(self) -> None:
        """Write to the spool what has been told since."""
        with self._writing:
            self._unwritten = _merged([*self._unwritten, *_drain(self._queue)])
            try:
                self._spool.append(self._unwritten)
            except Exception as error:  # noqa: BLE001 - a full disk, a folder of somebody else
                self._complain("what MLflow is to be told cannot be kept", error)
            else:
                self._unwritten = []

    def _tell(self, *, wait: bool) -> bool:
        """Apply what waits, and say whether the tracker took it all."""
        refusing: set[str] = set()
        all_told = True
        written_at = time.monotonic()
        with self._spool.turn(wait=wait) as entries:
            for entry in entries:
                group = entry.operation.get("group")
                if group in refusing:
                    continue
                try:
                    self._apply(entry.operation)
                except TrackerAwayError as error:
                    all_told = False
                    self._complain("", error, error.group)
                    if error.group is None:
                        break
                    refusing.add(error.group)
                except Exception as error:  # noqa: BLE001 - of every kind of tracker
                    all_told = False
                    self._complain(f"MLflow did not take all of '{group}'", error, group)
                else:
                    self._spool.strike(entry)
                    self._num_told += 1
                if time.monotonic() >= written_at + FLUSH_INTERVAL_S:
                    self._write()
                    written_at = time.monotonic()
        return all_told

    def _complain(self, what: str, error: Exception, group: str | None = None) -> None:
        """Say what is wrong, once of each kind."""
        _LOG.debug("%s", what, exc_info=error)
        key = (type(error), group)
        if key not in self._complaints:
            self._complaints.add(key)
            with suppress(Exception):  # the terminal may be gone
                self._say(": ".join(filter(None, (what, first_line(error)))))


def _drain(waiting: "queue.SimpleQueue[dict[str, Any]]") -> Iterator[dict[str, Any]]:
    while True:
        try:
            yield waiting.get_nowait()
        except queue.Empty:
            return


def first_line(error: Exception) -> str:
    """Return what an error says, without the pages that some say it on, and without passwords."""
    line = without_passwords(str(error).strip().partition("\n")[0]) or type(error).__name__
    return line if len(line) <= _LINE_LENGTH else f"{line[:_LINE_LENGTH]}…"


def _merged(operations: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join reports of the same run: one call to the tracker for all of them."""
    kept: list[dict[str, Any]] = []
    open_reports: dict[tuple[str, ...], dict[str, Any]] = {}
    for operation in operations:
        key = tuple(str(operation.get(name)) for name in ("group", "name", "trial", "attempt"))
        if operation["op"] != "metrics":
            open_reports.pop(key, None)
        elif key in open_reports:
            open_reports[key]["points"] += operation["points"]
            continue
        else:
            open_reports[key] = operation
        kept.append(operation)
    return kept
