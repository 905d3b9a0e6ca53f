from __future__ import annotations

import pytest
import torch

from histofed.errors import ConfigError
from histofed.federation.callbacks.fedprox import FedProx
from histofed.federation.messages import Round
from histofed.federation.random_state import undisturbed
from histofed.federation.state import state_of

pytestmark = [
    # The toy data are far too small for loader workers.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    # Lightning's own use of torch's pytree.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated"),
]


def by_hand(module, data, *, mu, steps, clip=None):
    """Minimise loss + mu / 2 |w - w0|^2 as one loss, by full batches and SGD."""
    anchor = [value.detach().clone() for value in module.parameters()]
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    features, target = data.tensors
    for _ in range(steps):
        pairs = zip(module.parameters(), anchor, strict=True)
        near = sum(((value - old) ** 2).sum() for value, old in pairs)
        loss = torch.nn.functional.mse_loss(module(features), target) + mu / 2 * near
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(module.parameters(), clip)
        optimizer.step()
    return state_of(module)


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_it_minimises_the_loss_and_the_distance_to_the_rounds_model(
    toy, script_of, fit, clip, accumulate
):
    """Each round anew; the distance counts once a step, and is clipped with the rest."""
    make = lambda seed=0: toy.module(seed, plain=True, adam=False)  # noqa: E731
    rounds = [Round(number=n, total=2, state=state_of(make(n))) for n in (1, 2, 3)]
    exchange = script_of(*rounds)
    trainer = {
        "gradient_clip_val": clip,
        "accumulate_grad_batches": accumulate,
        "max_epochs": 8,
    }
    fit(
        exchange,
        FedProx(mu=0.7),
        module=make(),
        every=4,
        # The mean over equal parts of the data is the mean over all.
        batch_size=12 // accumulate,
        trainer=trainer,
    )
    for number, update in zip((1, 2), exchange.pushed, strict=False):
        expected = by_hand(make(number), toy.data(12, 0), mu=0.7, steps=4, clip=clip)
        for name, value in expected.items():
            torch.testing.assert_close(update.state[name], value, atol=1e-6, rtol=0)


def test_without_a_pull_it_is_plain_training(toy, script, fit):
    found = []
    for rules in ([], [FedProx(mu=0)]):
        with undisturbed():
            torch.manual_seed(1)
            exchange = script(2)
            fit(exchange, *rules)
            found.append(exchange.pushed)
    for one, other in zip(*found, strict=True):
        assert toy.same(one.state, other.state)


def test_private_tensors_are_not_held(toy, script_of, fit):
    """They have no global value; their gradients are left alone."""
    module = toy.module(plain=True, adam=False)
    anchor = module.net[0].weight.detach().clone()
    state = state_of(module)
    del state["net.0.bias"]
    seen = {}

    class Watch(FedProx):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
            net = pl_module.net[0]
            before = {"weight": net.weight.grad.clone(), "bias": net.bias.grad.clone()}
            super().on_before_optimizer_step(trainer, pl_module, optimizer)
            seen["weight"] = net.weight.grad - before["weight"]
            seen["bias"] = net.bias.grad - before["bias"]
            seen["expected"] = 2.0 * (net.weight.detach() - anchor)

    exchange = script_of(*[Round(number=n, total=1, state=state) for n in (1, 2)])
    fit(exchange, Watch(mu=2.0), module=module, private=["net.0.bias"])
    torch.testing.assert_close(seen["weight"], seen["expected"])
    assert seen["weight"].any()
    assert not seen["bias"].any()


@pytest.mark.parametrize("mu", [-0.1, float("nan"), float("inf")])
def test_an_impossible_pull_is_refused(mu):
    with pytest.raises(ConfigError, match="mu must be 0 or a positive number, got"):
        FedProx(mu=mu)


def test_it_needs_a_federation(toy):
    with pytest.raises(ConfigError, match="put a FederatedCallback into the same Trainer"):
        toy.trainer(FedProx(mu=1.0)).fit(toy.module(), toy.loader(toy.data(12, 0)))
