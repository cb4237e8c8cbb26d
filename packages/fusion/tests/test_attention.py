"""Attention in few passes over memory against the textbook's, in float64, answers and gradients."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from blended.fusion.modules import attention
from blended.fusion.modules.attention import Answered, MaskedAttention

NUM_CLIPS, NUM_HEADS, WIDTH, ASKING, ANSWERING = 6, 4, 12, 7, 9


def given(scale: float = 1.0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What asks, what answers, which of it is there (of one clip nothing is), and a bias."""
    torch.manual_seed(1)
    asking = scale * torch.randn(NUM_CLIPS, ASKING, WIDTH)
    answering = scale * torch.randn(NUM_CLIPS, ANSWERING, WIDTH)
    valid = torch.arange(ANSWERING) < torch.tensor([9, 0, 1, 5, 9, 3]).unsqueeze(1)
    bias = scale * torch.randn(NUM_HEADS, ASKING, ANSWERING)
    return asking.to(dtype), answering.to(dtype), valid, bias.to(dtype)


def textbook(
    module: MaskedAttention, asking: Tensor, answering: Tensor, valid: Tensor, bias: Tensor
) -> Tensor:
    """Clip by clip and head by head, by softmax."""
    width = WIDTH // NUM_HEADS
    clips: list[Tensor] = []
    for x, other, there in zip(asking, answering, valid, strict=True):
        steps = torch.cat([module.nothing, other[there]])
        key, value = module.key_value(steps).chunk(2, dim=1)
        heads: list[Tensor] = []
        for head in range(NUM_HEADS):
            at = slice(head * width, (head + 1) * width)
            scores = module.query(x)[:, at] @ key[:, at].T / math.sqrt(width)
            weights = (scores + torch.nn.functional.pad(bias[head][:, there], (1, 0))).softmax(dim=1)
            heads.append(weights @ value[:, at])
        clips.append(module.out(torch.cat(heads, dim=1)))
    return torch.stack(clips)


def differentiated(run: Callable[..., Tensor], scale: float, dtype: torch.dtype) -> dict[str, Tensor]:
    """The answer and every gradient, as float64."""
    torch.manual_seed(0)
    module = MaskedAttention(WIDTH, NUM_HEADS).to(dtype)
    asking, answering, valid, bias = given(scale, dtype)
    leaves = {"asking": asking, "answering": answering, "bias": bias}
    for leaf in leaves.values():
        leaf.requires_grad_()
    answer = run(module, asking, answering, valid, bias)
    answer.square().sum().backward()
    leaves |= dict(module.named_parameters())
    gradients = {name: leaf.grad.double() for name, leaf in leaves.items() if leaf.grad is not None}
    return {"answer": answer.detach().double()} | gradients


def apart(found: dict[str, Tensor], true: dict[str, Tensor]) -> dict[str, float]:
    """The largest difference of each, as a share of the largest number there."""
    return {
        name: float((found[name] - value).abs().max() / value.abs().max()) for name, value in true.items()
    }


@pytest.mark.parametrize("scale", [1.0, 10.0, 30.0])
@pytest.mark.parametrize("cached", [1, 10**6])
def test_it_is_as_near_to_float64_as_the_textbook(
    scale: float, cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers and gradients to 1e-5; `scale` 30 gives scores of hundreds, whose rounding alone is more."""
    monkeypatch.setattr(attention, "CACHED", cached)
    true = differentiated(textbook, scale, torch.float64)
    ours = apart(differentiated(MaskedAttention.__call__, scale, torch.float32), true)
    theirs = apart(differentiated(textbook, scale, torch.float32), true)
    assert {name for name, error in ours.items() if error > max(1e-5, 3 * theirs[name])} == set()
    exact = apart(differentiated(MaskedAttention.__call__, scale, torch.float64), true)
    assert max(exact.values()) < 1e-12


def test_gradients_are_those_of_small_differences() -> None:
    torch.manual_seed(0)
    shapes = [(2, 3, 2, 2, 4), (2, 3, 2, 2, 5), (2, 3, 2, 2, 5), (2, 2, 4, 5)]
    query, key, value, bias = (torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes)
    hidden = torch.zeros(2, 3, 5, dtype=torch.double)
    hidden[1, 2, 3:] = -math.inf

    def answer(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        return Answered.apply(query, key, value, hidden, bias)[0]

    assert torch.autograd.gradcheck(answer, (query, key, value, bias))


def test_models_at_once_are_those_one_by_one() -> None:
    modules = [MaskedAttention(WIDTH, NUM_HEADS) for _ in range(3)]
    stacked, _ = stack_module_state(modules)
    asking, answering, valid, bias = given()

    def one(parameters: dict[str, Tensor], asking: Tensor) -> Tensor:
        return functional_call(modules[0], parameters, (asking, answering, valid, bias))

    asked = torch.stack([asking, 2 * asking, -asking])
    together = vmap(one)(stacked, asked)
    together.sum().backward()
    for place, module in enumerate(modules):
        alone = module(asked[place], answering, valid, bias)
        torch.testing.assert_close(together[place], alone, rtol=1e-5, atol=1e-6)
        alone.sum().backward()
        for name, value in module.named_parameters():
            gradient = stacked[name].grad
            assert gradient is not None
            torch.testing.assert_close(gradient[place], value.grad, rtol=1e-4, atol=1e-5)


def test_the_weights_that_are_shown_are_those_that_weigh() -> None:
    """Of an attention whose values are the channels of what answers."""
    torch.manual_seed(0)
    module = MaskedAttention(WIDTH, NUM_HEADS)
    asking, answering, valid, bias = given()
    weights = module.weights(asking, answering, valid, bias)
    key_value = module.key_value(torch.cat([module.nothing.expand(NUM_CLIPS, 1, -1), answering], dim=1))
    value = key_value[..., WIDTH:].unflatten(-1, (NUM_HEADS, -1)).transpose(1, 2)
    expected = module.out((weights @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(module(asking, answering, valid, bias), expected, rtol=1e-5, atol=1e-6)
