import logging
import pickle
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s2hand_platform import cli, settings
from s2hand_platform.errors import ExecutionError, SpecError, StoreError
from s2hand_platform.paths import local_path
from s2hand_platform.settings import Setting
from s2hand_platform.tracking.spool import TrackerAwayError
from s2hand_platform.tracking.writer import first_line

PLATFORM = Path(settings.__file__).parent
SETTINGS = [each for each in vars(settings).values() if isinstance(each, Setting)]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_option_comes_first_then_our_variable_then_the_tools_own(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in setting.variables:
        monkeypatch.delenv(name, raising=False)
    assert setting.choose() == (setting.default, "default")
    for name in reversed(setting.variables):
        monkeypatch.setenv(name, "")
        before = setting.choose()
        monkeypatch.setenv(name, f"of {name}")
        assert setting.choose() == (f"of {name}", name) != before
    assert setting.choose("given") == ("given", setting.option)
    ours = [name.startswith("S2HAND_") for name in setting.variables]
    assert ours == sorted(ours, reverse=True)


def test_there_is_a_variable_of_ours_for_every_option() -> None:
    asked = [setting for setting in SETTINGS if setting.option]
    assert [setting.variables[0] for setting in asked] == [
        "S2HAND_WORKSPACE",
        "S2HAND_ADDRESS",
        "S2HAND_JOB_SERVER",
        "S2HAND_TRACKING_URI",
    ]


def test_no_password_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="s2hand_platform")
    assert settings.TRACKING_URI.choose("http://me:s3c:r@t@host:1/x").value.startswith("http://me:")
    assert caplog.messages == ["MLflow: http://***@host:1/x (--tracking-uri)"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "at postgresql://u:p/w@h/db; and 'https://t0ken@h'",
            "at postgresql://***@h/db; and 'https://***@h'",
        ),
        ("http://:p@h/a b@c", "http://***@h/a b@c"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("http://host:5000 of me@work", "http://host:5000 of me@work"),
    ],
)
def test_errors_hide_who_logs_in(text: str, told: str) -> None:
    errors = (SpecError([text]), StoreError(text), ExecutionError(text), TrackerAwayError(text))
    assert [str(error) for error in errors] == [told] * len(errors)
    assert [str(pickle.loads(pickle.dumps(error))) for error in errors[:3]] == [told] * 3
    assert first_line(ValueError(text)) == told


def test_hidden_variables_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:1")
    with settings.CLUSTER.hidden():
        assert settings.CLUSTER.choose().source == "default"
    assert settings.CLUSTER.choose() == ("elsewhere:1", "RAY_ADDRESS")


def test_the_environment_is_read_in_one_place() -> None:
    reading = re.compile(r"environ\.get\(|environ\[[^]]+\](?! = )|getenv\(")
    found = {
        str(path.relative_to(PLATFORM))
        for path in PLATFORM.rglob("*.py")
        if reading.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"settings.py", "devices.py"}


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["s2hand", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def log_as_before() -> Iterator[None]:
    """Leave the log as it was: a handler would write to this test's output in other tests."""
    log = logging.getLogger("s2hand_platform")
    before = log.handlers, log.level
    yield
    log.handlers = before[0]
    log.setLevel(before[1])


@pytest.mark.usefixtures("log_as_before")
def test_verbose_says_which_was_taken_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("S2HAND_EXPERIMENT", "tiny_experiment:TinyExperiment")
    monkeypatch.setenv("S2HAND_WORKSPACE", str(tmp_path / "w"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    scale = tmp_path / "one.toml"
    scale.write_text('title = "One"\nseeds = 1\n')
    options = ["--scale", str(scale), "--verbose"]
    assert call(monkeypatch, "plan", "missing.toml", *options) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[:-1] == [
        "experiment: tiny_experiment:TinyExperiment (S2HAND_EXPERIMENT)",
        f"workspace: {tmp_path / 'w'} (S2HAND_WORKSPACE)",
        "device: cpu (CUDA_VISIBLE_DEVICES)",
    ]
    options += ["--workspace", str(tmp_path / "v"), "--device", "cuda"]
    call(monkeypatch, "plan", "missing.toml", *options)
    told = capsys.readouterr().err.splitlines()
    assert told[1:3] == [f"workspace: {tmp_path / 'v'} (--workspace)", "device: cuda (--device)"]


@pytest.mark.parametrize(
    "address",
    ["s3://bucket/w", "gs://bucket/w", "file:///tmp/w", "hdfs://host/w", Path("s3://bucket/w")],
)
def test_addresses_are_no_paths(address: str | Path) -> None:
    scheme = str(address).partition(":")[0]
    with pytest.raises(SpecError, match=f"^--here: must be a path on a disk.* {scheme}: addresses"):
        local_path(address, "--here")


@pytest.mark.parametrize("path", ["a/b", "/a:/b", "C:/a", "a?b#c%d e"])
def test_paths_stay_as_they_are(path: str) -> None:
    assert str(local_path(path, "--here")) == path


def test_a_home_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/mine")
    assert local_path("~/w", "--here") == Path("/home/of/mine/w")
    with pytest.raises(SpecError, match=r"--here: '~nobody_of_this_name/w' needs a home"):
        local_path("~nobody_of_this_name/w", "--here")
