"""A sink that never waits: one thread writes, and nothing is lost while the tracker is away."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Literal

from s2hand_platform.planning.plan import Member, Plan, PlannedTrial
from s2hand_platform.spec.overrides import flatten
from s2hand_platform.store.records import StoredAttempt
from s2hand_platform.tracking.spool import Operation, Spool, TrackerAwayError

FLUSH_INTERVAL_S = 1.0
RETRY_INTERVAL_S = 30.0
CLOSE_TIMEOUT_S = 60.0

_LOG = logging.getLogger(__name__)


class SpoolingSink:
    """Turns what it is told into operations, and has a thread apply them to a tracker.

    What is told goes to a queue; the thread writes it to the spool once a second and applies what
    the spool holds. While the tracker does not answer, operations wait there, for this run or a
    later one to apply. Applying an operation twice changes nothing.
    """

    def __init__(self, spool: Spool, apply: Callable[[Operation], None], *, data: str) -> None:
        """Apply operations with ``apply``, which raises ``TrackerAwayError`` if it must wait.

        Args:
            spool: where operations wait.
            apply: called in the thread.
            data: what is measured on; rows of the same table on other data are other runs.
        """
        self._data = data
        self._spool = spool
        self._apply = apply
        self._queue: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def num_spooled(self) -> int:
        """Operations that the tracker has not been told yet; meaningful once closed."""
        return len(self._spool)

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

    def close(self) -> None:
        """Write what is left, to the tracker or else to the spool; waits a minute at most."""
        if self._thread is not None:
            self._closing.set()
            self._thread.join(CLOSE_TIMEOUT_S)
            self._thread = None

    def _start(self) -> None:
        if self._thread is None:
            self._closing.clear()
            self._thread = threading.Thread(target=self._write, name="tracking", daemon=True)
            self._thread.start()

    def _put(self, what: str, member: Member, **fields: Any) -> None:
        place = {**asdict(member), "data": self._data}
        self._queue.put({"op": what, "time_ms": int(time.time() * 1000), **place, **fields})

    def _put_child(self, what: str, trial: PlannedTrial, **fields: Any) -> None:
        for member in trial.members:
            self._put(what, member, trial=trial.trial_id, seed=trial.seed, **fields)

    def _write(self) -> None:
        """Run in the thread. All goes through the spool, which is a log written ahead."""
        retry_at = 0.0
        while True:
            closing = self._closing.wait(FLUSH_INTERVAL_S)
            self._spool.append(_merged(_drain(self._queue)))
            if len(self._spool) and (closing or time.monotonic() >= retry_at):
                try:
                    self._spool.replay(self._apply)
                except TrackerAwayError as error:
                    _LOG.info("%s; its operations wait in %s", error, self._spool.path)
                    retry_at = time.monotonic() + RETRY_INTERVAL_S
            if closing:
                return


def _drain(waiting: "queue.SimpleQueue[dict[str, Any]]") -> Iterator[dict[str, Any]]:
    while True:
        try:
            yield waiting.get_nowait()
        except queue.Empty:
            return


def _merged(operations: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
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
