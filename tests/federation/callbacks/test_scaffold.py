from __future__ import annotations

import pytest
import torch

from histofed.errors import ConfigError, FederationError
from histofed.federation.callbacks.fedprox import FedProx
from histofed.federation.callbacks.scaffold import ScaffoldCorrection
from histofed.federation.messages import Round
from histofed.federation.state import state_of, trainable_names

pytestmark = [
    # The toy data are far too small for loader workers.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    # Lightning's own use of torch's pytree.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated"),
]

RATE = 0.1
"""Of the toy's SGD."""


def controls_of(module, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: 0.3 * torch.randn(dict(module.named_parameters())[name].shape, generator=generator)
        for name in trainable_names(module)
    }


def corrected(toy, script_of, *, rounds: int, adam: bool = False):
    """Return rounds with controls, the module that trains in them, and the exchange."""
    module = toy.module(plain=True, adam=adam)
    made = [
        Round(
            number=number,
            total=rounds,
            state=state_of(toy.module(number, plain=True)),
            controls=controls_of(module, number),
        )
        for number in range(1, rounds + 2)
    ]
    return made, module, script_of(*made)


def gradients(module, data) -> dict[str, torch.Tensor]:
    features, target = data.tensors
    loss = torch.nn.functional.mse_loss(module(features), target)
    names, values = zip(*module.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, values), strict=True))


def test_equations_of_the_paper_with_sgd(toy, script_of, fit):
    """Full batches, K = 3 steps: y <- y - eta (g - c_i + c); c_i <- c_i - c + (x - y) / (K eta)."""
    rounds, module, exchange = corrected(toy, script_of, rounds=3)
    fit(
        exchange,
        ScaffoldCorrection(),
        module=module,
        every=3,
        batch_size=12,
        trainer={"max_epochs": 9},
    )
    data, own = toy.data(12, 0), dict.fromkeys(rounds[0].controls, 0.0)
    for current, update in zip(rounds, exchange.pushed[:3], strict=False):
        local = toy.module(plain=True)
        local.load_state_dict(current.state)
        for _ in range(3):
            step = gradients(local, data)
            with torch.no_grad():
                for name, value in local.named_parameters():
                    value -= RATE * (step[name] - own[name] + current.controls[name])
        for name, x in current.state.items():
            y = local.state_dict()[name]
            torch.testing.assert_close(update.state[name], y, atol=1e-5, rtol=0)
            new = own[name] - current.controls[name] + (x - y) / (3 * RATE)
            change = update.controls[name]
            torch.testing.assert_close(change, new - own[name], atol=1e-4, rtol=0)
            own[name] = own[name] + change


def test_with_adam_the_control_is_the_mean_gradient_not_the_step(toy, script_of, fit):
    """Option II's formula would give the size of Adam's steps, whatever that of the gradients."""
    rounds, module, exchange = corrected(toy, script_of, rounds=1, adam=True)
    seen = []

    class Watch(ScaffoldCorrection):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
            seen.append({name: each.grad.clone() for name, each in pl_module.named_parameters()})
            super().on_before_optimizer_step(trainer, pl_module, optimizer)
            for name, each in pl_module.named_parameters():
                correction = each.grad - seen[-1][name]
                torch.testing.assert_close(correction, rounds[0].controls[name])

    fit(exchange, Watch(), module=module)
    assert len(seen) == 3
    for name, change in exchange.pushed[0].controls.items():
        mean = torch.stack([gradient[name] for gradient in seen]).mean(0)
        torch.testing.assert_close(change, mean)


def test_controls_outlive_rounds_and_a_checkpoint_brings_them_back(toy, script_of, fit):
    rounds, module, exchange = corrected(toy, script_of, rounds=2)
    rule = ScaffoldCorrection()
    fit(exchange, rule, module=module, trainer={"max_epochs": 2})
    total = {
        name: exchange.pushed[0].controls[name] + exchange.pushed[1].controls[name]
        for name in rounds[0].controls
    }
    again = ScaffoldCorrection()
    again.load_state_dict(rule.state_dict())
    for name, value in again.state_dict()["own"].items():
        torch.testing.assert_close(value, total[name])


def test_a_tied_parameter_is_corrected_once(toy, script_of, fit):
    module = toy.module(plain=True, adam=False)
    module.twin = module.net[0]
    controls = {
        name: torch.ones_like(module.get_parameter(name)) for name in trainable_names(module)
    }
    assert {"net.0.weight", "twin.weight"} <= controls.keys()
    state = state_of(module)
    seen = []

    class Watch(ScaffoldCorrection):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
            before = pl_module.net[0].weight.grad.clone()
            super().on_before_optimizer_step(trainer, pl_module, optimizer)
            seen.append(pl_module.net[0].weight.grad - before)

    made = [Round(number=n, total=1, state=state, controls=controls) for n in (1, 2)]
    exchange = script_of(*made)
    fit(exchange, Watch(), module=module)
    torch.testing.assert_close(seen[0], torch.ones_like(seen[0]))
    answer = exchange.pushed[0].controls
    assert answer.keys() == controls.keys()
    assert torch.equal(answer["net.0.weight"], answer["twin.weight"])


def test_strategy_and_rule_must_belong_together(toy, script, script_of, fit):
    _, module, exchange = corrected(toy, script_of, rounds=1)
    with pytest.raises(FederationError, match=r"site north, round 1 of 1: .*no local rule takes"):
        fit(exchange, FedProx(0.1), module=module)
    match = "ScaffoldCorrection needs controls, and the strategy hands out none"
    with pytest.raises(FederationError, match=match):
        fit(script(1), ScaffoldCorrection())


def test_a_tensor_that_is_not_trained_here_is_named(toy, script_of, fit):
    _, module, exchange = corrected(toy, script_of, rounds=1)
    module.net[0].bias.requires_grad_(False)
    with pytest.raises(
        FederationError, match=r"'net\.0\.bias', which is not trained here \(1 such"
    ):
        fit(exchange, ScaffoldCorrection(), module=module)


def test_what_it_cannot_correct_is_refused(toy, script_of, fit):
    class Two(type(toy.module())):
        def configure_optimizers(self):
            self.automatic_optimization = False
            return [super(Two, self).configure_optimizers() for _ in range(2)]

    made, module, exchange = corrected(toy, script_of, rounds=1)
    module.__class__ = Two
    with pytest.raises(ConfigError, match="corrects one optimizer, found 2"):
        fit(exchange, ScaffoldCorrection(), module=module)
    with pytest.raises(ConfigError, match="ScaffoldCorrection needs the global model of a round"):
        toy.trainer(ScaffoldCorrection()).fit(toy.module(), toy.loader(toy.data(12, 0)))

    class Half:
        optimizers = (None,)
        precision = "16-mixed"

    with pytest.raises(ConfigError, match="16-mixed skips steps"):
        ScaffoldCorrection().open_round(Half(), module, made[0])
