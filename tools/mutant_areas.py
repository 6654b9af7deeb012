"""Which tests stand beside a module, and must notice what changes in it."""

from collections.abc import Mapping, Sequence

_PLATFORM = "platform/s2hand_platform"
_PLATFORM_TESTS = "tests/s2hand_platform/test_"


def _beside(sources: str, tests: str, **modules: str) -> dict[str, list[str]]:
    """Map modules of a folder to tests whose paths begin alike: module = names of the tests."""
    return {
        f"{sources}/{module}.py": [f"{tests}{name}.py" for name in names.split()]
        for module, names in modules.items()
    }


AREAS: Mapping[str, Sequence[str]] = {
    **_beside(_PLATFORM, _PLATFORM_TESTS, identity="identity"),
    **_beside(
        f"{_PLATFORM}/planning",
        f"{_PLATFORM_TESTS}planning_",
        cost="cost",
        persist="persist",
        plan="trials",
        planner="trials reasons",
        reasons="reasons trials",
    ),
    **_beside(
        f"{_PLATFORM}/statistics",
        f"{_PLATFORM_TESTS}statistics_",
        intervals="intervals",
        power="power",
        sequential="sequential",
        significance="significance",
        verdicts="verdicts",
    ),
    **_beside(
        f"{_PLATFORM}/store",
        f"{_PLATFORM_TESTS}store_",
        attempts="attempts damage crashes",
        beside="predictions results",
        compaction="compaction damage crashes",
        documents="damage",
        files="files",
        lines="lines",
        measured="measured",
        origins="origins",
        pictures="results",
        plans="plans",
        predictions="predictions",
        records="lines",
        results="results version1 damage",
        schema="schema",
        set_aside="set_aside",
        table_plan="plans",
        version1="version1",
    ),
    f"{_PLATFORM}/claims": [
        f"{_PLATFORM_TESTS}{name}.py" for name in ("claims", "claims_measured", "claims_printed")
    ],
    f"{_PLATFORM}/store/export.py": [f"{_PLATFORM_TESTS}tables.py"],
    f"{_PLATFORM}/store/imported.py": [f"{_PLATFORM_TESTS}imports.py"],
    "s2hand/evaluation.py": ["tests/s2hand/inference/test_evaluation.py"],
    **_beside(
        "s2hand/geometry",
        "tests/s2hand/geometry/test_",
        cameras="cameras",
        mesh="mesh",
        rotations="rotations",
    ),
    **_beside(
        "s2hand/hand",
        "tests/s2hand/hand/test_",
        angle_limits="angle_limits",
        embedded="embedded_file",
        export="hand_loader",
        fingertips="joint_orders",
        joints="joint_orders",
        layer="hand_layer",
        loader="hand_loader",
        model_data="hand_model_data",
        pickles="hand_loader",
        postures="postures",
        skinning="hand_layer",
    ),
    "s2hand/inference.py": ["tests/s2hand/inference/test_predictor.py"],
    "s2hand/keypoints": ["tests/s2hand/keypoints"],
    **_beside(
        "s2hand/losses",
        "tests/s2hand/losses/test_",
        appearance="appearance_losses what_terms_compare",
        formula="what_terms_compare",
        keypoint="keypoint_losses what_terms_compare",
        laplacian="laplacian_loss what_terms_compare",
        loss_sum="what_terms_compare",
        motion="motion_losses what_terms_compare",
        norm="what_terms_compare",
        objective="what_terms_compare",
        photometric="photometric_losses what_terms_compare",
        priors="prior_losses what_terms_compare",
    ),
    **_beside(
        "s2hand/metrics",
        "tests/s2hand/metrics/test_metric_",
        alignment="alignment",
        appearance="appearance",
        baselines="baselines",
        curves="curves",
        descriptions="evaluate",
        errors="evaluate smoothness",
        evaluate="evaluate",
        evaluator="evaluate",
        f_score="auc_and_f_score",
        keypoints_2d="keypoints_2d",
        pck="auc_and_f_score",
        rendering="rendering",
        smoothness="smoothness",
    ),
    **_beside(
        "s2hand/rendering",
        "tests/s2hand/rendering/test_rendering_",
        cpu="draw gradients unusual",
        lighting="lighting",
        outlines="draw gradients unusual",
        pictures="pictures",
        rasterise="rasterise",
        render="render",
        threads="draw",
        topology="topology",
    ),
    "s2hand/submission.py": ["tests/s2hand/test_server_submission.py"],
    "s2hand/schedule.py": ["tests/s2hand/test_schedule.py"],
    **_beside(
        "s2hand/synthetic",
        "tests/s2hand/synthetic/test_synthetic_",
        annotations="annotations",
        collection="collection",
        detector="detector",
        existing="generate",
        generate="generate",
        motion="motion",
        namespaces="namespaces",
        noise="noise",
        seeds="namespaces",
        sequences="sequences",
        sizes="generate",
        stage="stage",
        visibility="visibility",
    ),
    "s2hand/synthetic/made_when_used.py": ["tests/s2hand/synthetic/test_made_when_used.py"],
    "s2hand/synthetic": [
        "tests/s2hand/synthetic/test_synthetic_parts.py",
        "tests/s2hand/synthetic/test_synthetic_touch.py",
    ],
    "s2hand/training/acting_code.py": ["tests/s2hand/training/test_acting_code.py"],
    **_beside(
        "s2hand/training",
        "tests/s2hand/training/test_training_",
        checkpoint="checkpoint",
        determinism="determinism",
        sharing="sharing",
        stages="stages",
        step="step",
        workers="workers",
    ),
    "s2hand/training": ["tests/s2hand/training/test_training_loop.py"],
}
"""Modules, or folders of them → the tests that must notice what changes there; the first place
that a module lies in counts. Those of the GPU (``rendering/cuda*.py``, ``pytorch3d.py``) are in
none: without one they are not run."""
