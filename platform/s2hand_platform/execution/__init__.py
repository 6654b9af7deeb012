"""Run trials: in this process, or with Ray Tune over Ray Train workers. The only door to Ray."""

import os

REQUIRED_OF_RAY = {"RAY_TRAIN_V2_ENABLED": "1"}
"""Holds whatever the environment says: there is no other way to run here."""

QUIET_RAY = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DISABLE_USAGE_STATS": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "300",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""Ray reads these when it is imported: no boxes of its own, no files that nobody reads; and a
report of Ray Train waits for the controller's next poll, 2 s unless told otherwise. On a busy
machine workers take more than a minute to start. Ctrl-C is
ours, and the searches say themselves what a report must hold."""

_REFUSED_BY_TUNE = ("TUNE_RESULT_DIR", "RAY_AIR_LOCAL_CACHE_DIR")
"""Tune ignores them, and yet ends where one is set."""

os.environ.update(REQUIRED_OF_RAY)
for _name in _REFUSED_BY_TUNE:
    os.environ.pop(_name, None)
for _name, _value in QUIET_RAY.items():
    os.environ.setdefault(_name, _value)
