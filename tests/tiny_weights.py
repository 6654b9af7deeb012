"""Starting weights that nobody trained, written by the functions that write those of trainings."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch

from s2hand.config import S2HandConfig
from s2hand.hand.embedded import embedded_hand
from s2hand.model import S2Hand
from s2hand.parts import WeightsName
from s2hand.starting_weights import Card, StartingWeights, fits_of, open_weights, save_weights


def tiny_card(name: WeightsName, config: S2HandConfig) -> Card:
    record = {"title": "noise", "frames": 2400, "generation": {"size": {"pretraining": {}}}}
    return Card(
        name=name,
        fits=fits_of(config.model, name),
        hand_fingerprint=embedded_hand().fingerprint if name == "s2hand" else "",
        recipe={"config": json.loads(json.dumps(asdict(config))), "seed": 7},
        data=record,
        validation_data=record,
        steps=3,
        pictures=24,
        hours=0.5,
        curve=({"place": 0, "loss/total": 0.5}, {"place": 1, "loss/total": 0.25}),
        scores={"validation/pa_mpjpe_cm": 1.25},
        code={"s2hand": "0"},
    )


def tiny_state(config: S2HandConfig, seed: int) -> dict[str, torch.Tensor]:
    """Return the weights of a model with all parts whose statistics are those of no new one."""
    config = replace(config, model=replace(config.model, pretrained="none"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = S2Hand(config)
        for layer in model.modules():
            if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
                torch.nn.init.uniform_(layer.running_mean, -0.1, 0.1)
                torch.nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return model.state_dict()


def write_weights(
    folder: Path, name: WeightsName, config: S2HandConfig, seed: int = 5
) -> StartingWeights:
    """Write weights for models of a configuration, which must have all parts."""
    path = folder / f"{name}.safetensors"
    save_weights(tiny_state(config, seed), tiny_card(name, config), path)
    return open_weights(name, folder)


def starting_from(config: S2HandConfig, name: str, folder: Path) -> S2HandConfig:
    return replace(config, model=replace(config.model, pretrained=name, weights_dir=str(folder)))
