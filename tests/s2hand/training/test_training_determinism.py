"""Seeds of epochs, and what torch is told."""

from hashlib import sha256

import pytest
import torch

from s2hand.training.determinism import (
    derive_seed,
    seed_epoch,
    use_deterministic_algorithms,
)


def test_every_epoch_worker_and_purpose_has_its_own_seed():
    seeds = {
        derive_seed(seed, purpose, stream, epoch, rank)
        for seed in range(3) for purpose in ("network", "augmentation")
        for stream in ("3d:frames:0", "2d:frames:0", "3d:frames:1")
        for epoch in range(3) for rank in range(3)
    }  # fmt: skip
    assert len(seeds) == 3 * 2 * 27
    assert seed_epoch(0, "s", 2, 0).initial_seed() == seed_epoch(0, "s", 2, 0).initial_seed()


def test_a_seed_is_the_beginning_of_a_hash_of_everything_it_is_for():
    """Seven bytes of it, which torch and NumPy both take."""
    expected = sha256(b"3:samples:2d:frames:0:4").digest()
    seed = derive_seed(3, "samples", "2d:frames:0", 4)
    assert seed.to_bytes(7, "little") == expected[:7]


@pytest.mark.parametrize("other", [(1, "s", 2, 3), (0, "t", 2, 3), (0, "s", 1, 3), (0, "s", 2, 2)])
def test_an_epoch_s_numbers_follow_from_its_place_alone(other):
    def drawn(*place):
        augmentation = seed_epoch(*place)
        return torch.rand(4), torch.rand(4, generator=augmentation)

    network, augmentation = drawn(0, "s", 2, 3)
    torch.rand(5)
    for again, before in zip(drawn(0, "s", 2, 3), (network, augmentation), strict=True):
        assert torch.equal(again, before)
    assert not torch.equal(network, augmentation)
    for changed, before in zip(drawn(*other), (network, augmentation), strict=True):
        assert not torch.equal(changed, before)


def test_torch_is_told_to_repeat_itself(monkeypatch):
    told = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda **how: told.append(how))
    memory = torch.utils.deterministic
    monkeypatch.setattr(memory, "fill_uninitialized_memory", True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    use_deterministic_algorithms()
    # On CUDA some operations have no other form: there it is a warning.
    assert told == [{"mode": True, "warn_only": torch.cuda.is_available()}]
    assert not memory.fill_uninitialized_memory
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cudnn.benchmark
