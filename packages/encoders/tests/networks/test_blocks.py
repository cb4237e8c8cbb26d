"""Blocks against plain matrix products."""

import pytest
import torch
from torch import Tensor, nn

from blended.encoders.networks.blocks import (
    Attention,
    Block,
    CrossAttention,
    CrossBlock,
    drop_path,
    init_truncated,
    init_xavier,
)
from blended.encoders.networks.config import BlockConfig


def randomised(module: nn.Module) -> nn.Module:
    """Biases and scales away from their zeros and ones, so that leaving one out shows."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3)
    return module.eval()


def plain_attention(q: Tensor, k: Tensor, v: Tensor, num_heads: int, scale: float) -> Tensor:
    """One clip, one head, one query at a time: q [N, D], k and v [C, D]."""
    head_dim = q.shape[1] // num_heads
    out = torch.zeros_like(q)
    for head in range(num_heads):
        columns = slice(head * head_dim, (head + 1) * head_dim)
        for i in range(len(q)):
            logits = torch.stack([scale * (q[i, columns] @ key[columns]) for key in k])
            weights = torch.exp(logits - logits.max())
            out[i, columns] = (weights / weights.sum()) @ v[:, columns]
    return out


@pytest.mark.parametrize("num_heads", [1, 2, 3])
@pytest.mark.parametrize("config", [BlockConfig(), BlockConfig(qkv_bias=False, qk_scale=0.4)])
def test_attention_is_softmax_of_dot_products(num_heads: int, config: BlockConfig) -> None:
    attention = Attention(8, num_heads, config)
    randomised(attention)
    x = torch.randn(1, 5, 8)
    inner_dim = 8 // num_heads * num_heads  # three heads of two leave two columns out
    q, k, v = (x[0] @ attention.qkv.weight.T).split(inner_dim, dim=1)
    if attention.q_bias is not None and attention.v_bias is not None:
        q, v = q + attention.q_bias, v + attention.v_bias
    scale = config.qk_scale or (8 // num_heads) ** -0.5
    expected = attention.proj(plain_attention(q, k, v, num_heads, scale))
    torch.testing.assert_close(attention(x)[0], expected)


def test_cosine_attention_normalises_and_learns_its_factor() -> None:
    attention = Attention(8, 2, BlockConfig(), cosine=True)
    assert attention.scale is not None
    assert attention.scale.shape == (2, 1, 1)
    torch.testing.assert_close(attention.scale.exp(), torch.full((2, 1, 1), 10.0))
    randomised(attention)
    with torch.no_grad():
        attention.scale.copy_(torch.tensor([1.5, 9.0])[:, None, None])  # the second is beyond the limit
    x = torch.randn(1, 5, 8)
    assert attention.q_bias is not None and attention.v_bias is not None
    q, k, v = (x[0] @ attention.qkv.weight.T).split(8, dim=1)
    q, v = q + attention.q_bias, v + attention.v_bias
    heads: list[Tensor] = []
    for head, factor in enumerate((2.718281828**1.5, 100.0)):
        columns = slice(4 * head, 4 * head + 4)
        unit_q = q[:, columns] / q[:, columns].norm(dim=1, keepdim=True)
        unit_k = k[:, columns] / k[:, columns].norm(dim=1, keepdim=True)
        heads.append(plain_attention(unit_q, unit_k, v[:, columns], 1, factor))
    torch.testing.assert_close(attention(x)[0], attention.proj(torch.cat(heads, dim=1)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("qkv_bias", [True, False])
def test_cross_attention_reads_the_context(qkv_bias: bool) -> None:
    attention = CrossAttention(8, 6, 2, BlockConfig(qkv_bias=qkv_bias))
    randomised(attention)
    x, context = torch.randn(1, 3, 8), torch.randn(1, 4, 6)
    q = x[0] @ attention.q.weight.T
    k, v = (context[0] @ attention.kv.weight.T).split(8, dim=1)
    if attention.q_bias is not None and attention.v_bias is not None:
        q, v = q + attention.q_bias, v + attention.v_bias
    expected = attention.proj(plain_attention(q, k, v, 2, 4**-0.5))
    torch.testing.assert_close(attention(x, context)[0], expected)


@pytest.mark.parametrize("init_values", [0.0, 0.1])
def test_blocks_add_their_branches_in_order(init_values: float) -> None:
    config = BlockConfig(init_values=init_values, mlp_ratio=2.5)
    block, cross = Block(8, 2, config, 0.0), CrossBlock(8, 6, 2, config, 0.0)
    assert block.mlp.fc1.out_features == 20
    scales = {name for name, _ in cross.named_parameters() if name.startswith("gamma")}
    assert scales == ({"gamma_0", "gamma_1", "gamma_2"} if init_values else set())
    if cross.gamma_0 is not None:
        assert torch.all(cross.gamma_0 == init_values)
    randomised(block)
    randomised(cross)
    x, context = torch.randn(2, 3, 8), torch.randn(2, 4, 6)

    def scaled(gamma: nn.Parameter | None, branch: Tensor) -> Tensor:
        return branch if gamma is None else gamma * branch

    y = x + scaled(block.gamma_1, block.attn(block.norm1(x)))
    torch.testing.assert_close(block(x), y + scaled(block.gamma_2, block.mlp(block.norm2(y))))
    y = x + scaled(cross.gamma_0, cross.cross_attn(cross.cross_norm1(x), cross.cross_norm2(context)))
    y = y + scaled(cross.gamma_1, cross.attn(cross.norm1(y)))
    torch.testing.assert_close(cross(x, context), y + scaled(cross.gamma_2, cross.mlp(cross.norm2(y))))


def test_drop_path_keeps_the_mean_and_drops_whole_samples() -> None:
    torch.manual_seed(0)
    branch = torch.ones(4000, 2, 3)
    dropped = drop_path(branch, 0.25, training=True)
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert torch.all(dropped == dropped[:, :1, :1])
    assert abs(dropped.mean().item() - 1.0) < 0.05
    assert drop_path(branch, 0.25, training=False) is branch


def test_dropout_acts_in_training_only() -> None:
    block = Block(8, 2, BlockConfig(drop_rate=0.5, attn_drop_rate=0.5), 0.5)
    x = torch.randn(16, 3, 8)
    assert not torch.equal(block.train()(x), block(x))
    assert torch.equal(block.eval()(x), block(x))


def test_initialisation_leaves_no_bias() -> None:
    for init in (init_xavier, init_truncated):
        block = Block(64, 2, BlockConfig(), 0.0)
        init(block)
        assert not block.attn.proj.bias.any()
        assert not block.mlp.fc1.bias.any()
    assert abs(block.mlp.fc1.weight.std().item() - 0.02) < 0.002
