"""What layouts declare, against what the loaders do."""

import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

import s2hand
from s2hand.config import DataConfig, S2HandConfig
from s2hand.data.build import load_test, load_train
from s2hand.layouts import LAYOUTS

PACKAGE = Path(s2hand.__file__).parent


def test_layouts_know_themselves_and_name_fields_of_the_configuration():
    known = {field.name for field in fields(DataConfig)}
    for name, layout in LAYOUTS.items():
        assert layout.name == name
        assert set(layout.loader_settings) | set(layout.own_settings) <= known


@pytest.mark.parametrize("dataset", list(LAYOUTS))
def test_the_code_that_runs_when_a_set_is_loaded_is_declared(request, dataset):
    root = request.getfixturevalue(f"make_{dataset}")()
    import_module(LAYOUTS[dataset].loader)  # to import a module is not to run it
    executed: set[str] = set()

    def watch(frame, event, argument):
        executed.add(frame.f_code.co_filename)

    is_measured = LAYOUTS[dataset].is_measured
    usual = {} if is_measured else {"assumed_focal": 1.0}
    every = [usual, {"keypoints": "ground_truth"}, {"train_crop": "detections"}]
    configs = [
        S2HandConfig(data=DataConfig(dataset=dataset, root=str(root), **settings))
        for settings in every[: 3 if is_measured else 1]
    ]
    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        for config in configs:
            load_train(config)
            if is_measured:
                load_test(config)
    finally:
        sys.setprofile(before)
    ours = [Path(name) for name in executed if Path(name).is_relative_to(PACKAGE)]
    modules = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in ours}
    assert LAYOUTS[dataset].loader in modules
    modules -= {"s2hand.files"}  # looks for broken links, which end the loading
    assert modules <= set(LAYOUTS[dataset].modules)
    # Every declared module has code that runs, but for those that only hold constants, or run when
    # the configuration is made.
    constants = {"s2hand.layouts", "s2hand.hand.fingertips", "s2hand.data.loader"}
    constants |= {"s2hand.keypoints.track_settings"}
    unused = set(LAYOUTS[dataset].modules) - modules - constants
    assert unused <= {"s2hand.hand.joints", "s2hand.keypoints.openpose", "s2hand.geometry.cameras"}
    for module in LAYOUTS[dataset].modules:
        path = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
        assert path.is_file()


def test_configurations_need_no_torch():
    code = "import sys, s2hand.config; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
