"""Workers that share a batch: the gradient, the weights and the words of all."""

from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from steps import build_step, frozen_model, gradients

from s2hand.loss_table import TERMS
from s2hand.training.step import split_batch
from s2hand.training.workers import Workers


def work(rank, folder, config, batch):
    """One of two workers; the shares are unequal on purpose."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    model = frozen_model(config)
    if rank == 1:
        with torch.no_grad():
            next(model.parameters()).add_(1)  # undone by the first worker's copy
    workers = Workers(rank=rank, world_size=2)
    workers.copy_from_first(model)
    step = build_step(model, micro_batch_size=0, workers=workers)
    shares = list(split_batch(batch, 6))
    terms = step.accumulate(shares[rank])
    names = workers.gather([f"sample of {rank}"])
    torch.save((terms, gradients(model), names), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_workers_give_the_gradient_of_one(config, batch, tmp_path):
    model = frozen_model(config)
    step = build_step(model, micro_batch_size=0, workers=Workers(rank=0, world_size=1))
    terms = step.accumulate(batch)
    mp.spawn(work, args=(str(tmp_path), config, batch), nprocs=2)
    for rank in (0, 1):
        their_terms, theirs, names = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(their_terms, terms)
        assert names == ["sample of 0", "sample of 1"]
        for name, gradient in gradients(model).items():
            torch.testing.assert_close(theirs[name], gradient, rtol=1e-4, atol=1e-7)


def train_alone_and_report(rank, folder, config, batch, world_size):
    """A few steps with batch statistics and drop-outs as they are in training."""
    torch.set_num_threads(1)
    if world_size > 1:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world_size
        )
    model = frozen_model(config).train()
    workers = Workers(rank=rank, world_size=world_size)
    step = build_step(model, micro_batch_size=0, workers=workers)
    share = list(split_batch(batch, 8 // world_size))[rank]
    terms = torch.stack([step.run(share) for _ in range(6)])
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    torch.save((terms, weights), Path(folder) / f"{world_size}-{rank}.pt")
    if world_size > 1:
        dist.destroy_process_group()


def test_two_workers_train_alike_without_freezing(config, batch, tmp_path):
    """Each worker normalises with its own half of the batch: alike, not equal."""
    train_alone_and_report(0, tmp_path, config, batch, 1)
    mp.spawn(train_alone_and_report, args=(str(tmp_path), config, batch, 2), nprocs=2)
    alone, weights = torch.load(tmp_path / "1-0.pt")
    first, first_weights = torch.load(tmp_path / "2-0.pt")
    second, second_weights = torch.load(tmp_path / "2-1.pt")
    assert torch.equal(first, second)
    assert torch.equal(first_weights, second_weights)
    keypoints = list(TERMS).index("keypoint_2d")
    torch.testing.assert_close(first[:, keypoints], alone[:, keypoints], rtol=0.2, atol=0)
    assert not torch.equal(weights, first_weights)
