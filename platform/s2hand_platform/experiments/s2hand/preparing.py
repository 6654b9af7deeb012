"""Images packed before trials begin, in the cache that the trials share."""

from collections.abc import Sequence
from contextlib import suppress

from s2hand.config import S2HandConfig
from s2hand.data.build import load_extra, load_test, load_train, load_validation
from s2hand.data.dataset import FrameDataset
from s2hand.errors import S2HandError
from s2hand_platform.preparation import PreparationProgress


def pack_images(configs: Sequence[S2HandConfig], progress: PreparationProgress) -> None:
    """Pack what trainings and evaluations of configs read from the cache, once for each setting.

    A set that cannot be packed is left to the trial that needs it.
    """
    packings = {
        (config.data, config.model.image_size_px, config.model.frame): config
        for config in configs
        if config.runtime.cache_dir
    }
    for config in packings.values():
        for load in (load_train, load_extra, load_test, load_validation):
            with suppress(S2HandError):
                found = load(config)
                for table in found if isinstance(found, tuple) else (found,):
                    if table is not None:
                        FrameDataset.from_config(table, config, progress=progress)
