"""Batches made ahead of the steps."""

import threading

import pytest
import torch

import s2hand.training.stage_run
from s2hand.trained_model import MODEL_NAME, load_model
from s2hand.training import feeding
from s2hand.training.feeding import made_ahead
from s2hand.training.loop import train


class Maker:
    """Makes what it is asked for, and remembers what, and where."""

    def __init__(self, broken=None):
        self.made, self.threads, self.broken = [], set(), broken

    def __call__(self, place):
        if place == self.broken:
            raise ValueError(f"{place} is broken")
        self.made.append(place)
        self.threads.add(threading.current_thread())
        return f"batch {place}"


def in_thread(make, places):
    return feeding._in_thread(make, places, lambda: None)


def test_a_thread_makes_batches_in_their_order_and_a_few_ahead():
    maker, asked = Maker(), []
    for place, batch in enumerate(in_thread(maker, range(10))):
        assert batch == f"batch {place}"
        asked.append(place)
        assert set(maker.made) >= set(asked)
        assert len(maker.made) <= place + 1 + feeding._AHEAD
    assert asked == maker.made == list(range(10))
    (thread,) = maker.threads
    assert thread is not threading.current_thread()
    assert not thread.is_alive()


def test_the_thread_works_while_a_step_is_done():
    """The next batch is there before it is asked for."""
    ready = {place: threading.Event() for place in range(3)}

    def make(place):
        ready[place].set()
        return place

    batches = in_thread(make, range(3))
    assert next(batches) == 0
    assert ready[1].wait(60)
    assert ready[2].wait(60)
    assert list(batches) == [1, 2]


def test_what_cannot_be_made_is_raised_in_its_place():
    batches = in_thread(Maker(broken=4), range(10))
    assert [next(batches) for _ in range(4)] == [f"batch {place}" for place in range(4)]
    with pytest.raises(ValueError, match="4 is broken"):
        next(batches)


def test_who_stops_asking_leaves_no_thread():
    maker = Maker()
    batches = in_thread(maker, range(100))
    next(batches)
    batches.close()
    (thread,) = maker.threads
    assert not thread.is_alive()
    assert len(maker.made) <= 1 + feeding._AHEAD


def test_the_thread_is_prepared_first():
    prepared = []
    place = threading.local()

    def prepare():
        place.device = "cuda:1"

    def make(number):
        prepared.append(place.device)
        return number

    assert list(feeding._in_thread(make, range(3), prepare)) == [0, 1, 2]
    assert prepared == ["cuda:1"] * 3


def test_a_cpu_makes_a_batch_when_it_is_asked_for():
    maker = Maker()
    batches = made_ahead(maker, range(3), "cpu")
    assert not maker.made
    assert next(batches) == "batch 0"
    assert maker.made == [0]
    assert maker.threads == {threading.current_thread()}
    assert list(batches) == ["batch 1", "batch 2"]


@pytest.mark.usefixtures("in_tiny_data")
def test_a_training_with_batches_made_ahead_is_the_same(config, make_context, monkeypatch):
    weights = []
    for name in ("asked for", "ahead"):
        if name == "ahead":
            monkeypatch.setattr(
                s2hand.training.stage_run,
                "made_ahead",
                lambda make, places, _: in_thread(make, places),
            )
        context = make_context(name)
        context = type(context)(
            checkpoint_dir=context.checkpoint_dir, stage_dir=context.stage_dir / name
        )
        train(config, seed=0, context=context)
        weights.append(load_model(context.checkpoint_dir / MODEL_NAME).state_dict())
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_a_gpu_a_thread_makes_the_batches():
    maker = Maker()
    assert list(made_ahead(maker, range(5), "cuda")) == [f"batch {place}" for place in range(5)]
    assert threading.current_thread() not in maker.threads
