"""Both forms of HiCMAE against a second implementation: plain functions of a state, one clip at a time."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from blended.encoders.networks.hicmae.network import HiCMAEClassifier
from blended.encoders.networks.hicmae.pretrain import HiCMAEAutoencoder, random_mask, tube_mask
from toys.official_networks import finetune_config, pretrain_config

State = dict[str, Tensor]


def norm(state: State, name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    deviation = (centred.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
    return centred / deviation * state[f"{name}.weight"] + state[f"{name}.bias"]


def linear(state: State, name: str, x: Tensor) -> Tensor:
    y = x @ state[f"{name}.weight"].T
    return y + state[f"{name}.bias"] if f"{name}.bias" in state else y


def heads_of(q: Tensor, k: Tensor, v: Tensor, num_heads: int, scale: float | None) -> Tensor:
    width = q.shape[1] // num_heads
    outputs: list[Tensor] = []
    for i in range(num_heads):
        part = slice(i * width, (i + 1) * width)
        logits = q[:, part] @ k[:, part].T * (scale or width**-0.5)
        weights = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
        outputs.append(weights @ v[:, part])
    return torch.cat(outputs, dim=1)


def self_attention(state: State, name: str, x: Tensor, num_heads: int, scale: float | None) -> Tensor:
    q, k, v = (x @ state[f"{name}.qkv.weight"].T).chunk(3, dim=1)
    if f"{name}.q_bias" in state:
        q, v = q + state[f"{name}.q_bias"], v + state[f"{name}.v_bias"]
    return linear(state, f"{name}.proj", heads_of(q, k, v, num_heads, scale))


def cross_attention(
    state: State, name: str, x: Tensor, context: Tensor, num_heads: int, scale: float | None
) -> Tensor:
    q = x @ state[f"{name}.q.weight"].T
    k, v = (context @ state[f"{name}.kv.weight"].T).chunk(2, dim=1)
    if f"{name}.q_bias" in state:
        q, v = q + state[f"{name}.q_bias"], v + state[f"{name}.v_bias"]
    return linear(state, f"{name}.proj", heads_of(q, k, v, num_heads, scale))


def block(
    state: State, name: str, x: Tensor, num_heads: int, scale: float | None, context: Tensor | None = None
) -> Tensor:
    def gamma(i: int) -> Tensor:
        return state.get(f"{name}.gamma_{i}", torch.ones(()))

    if context is not None:
        normed = norm(state, f"{name}.cross_norm1", x), norm(state, f"{name}.cross_norm2", context)
        x = x + gamma(0) * cross_attention(state, f"{name}.cross_attn", *normed, num_heads, scale)
    x = x + gamma(1) * self_attention(
        state, f"{name}.attn", norm(state, f"{name}.norm1", x), num_heads, scale
    )
    hidden = linear(state, f"{name}.mlp.fc1", norm(state, f"{name}.norm2", x))
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
    return x + gamma(2) * linear(state, f"{name}.mlp.fc2", hidden)


def positions(num_tokens: int, dim: int) -> Tensor:
    rows = [
        [(math.cos if i % 2 else math.sin)(position / 10000 ** (2 * (i // 2) / dim)) for i in range(dim)]
        for position in range(num_tokens)
    ]
    return torch.tensor(rows)


def embed(state: State, name: str, clip: Tensor) -> Tensor:
    """Tokens of [channels, *lengths] with positions; the sides of a token are those of the kernel."""
    kernel = state[f"{name}.patch_embed.proj.weight"]
    x = clip
    for axis, side in enumerate(kernel.shape[2:], start=1):
        x = x.unfold(axis, side, side)
    num_axes = clip.ndim - 1
    tokens = x.movedim(0, num_axes).flatten(0, num_axes - 1).flatten(1)
    tokens = tokens @ kernel.flatten(1).T + state[f"{name}.patch_embed.proj.bias"]
    return tokens + positions(*tokens.shape)


def encoder_layers(
    state: State, name: str, x: Tensor, depth: int, num_heads: int, scale: float | None
) -> list[Tensor]:
    outputs: list[Tensor] = []
    for i in range(depth):
        x = block(state, f"{name}.blocks.{i}", x, num_heads, scale)
        outputs.append(norm(state, f"{name}.norm", x))
    return outputs


def fuse(
    state: State, video: Tensor, audio: Tensor, depth: int, num_heads: int, scale: float | None
) -> tuple[Tensor, Tensor]:
    name = "encoder_fusion"
    for i in range(depth):
        old_video, old_audio = video, audio
        video = block(state, f"{name}.blocks.{i}", old_video, num_heads, scale, context=old_audio)
        audio = block(state, f"{name}.blocks_audio.{i}", old_audio, num_heads, scale, context=old_video)
    return norm(state, f"{name}.norm", video), norm(state, f"{name}.norm_audio", audio)


PLAIN: dict[str, Any] = {"img_size": 8, "patch_size": 4, "img_size_audio": [8, 4], "patch_size_audio": 4}
ODD: dict[str, Any] = {
    "img_size": 12,
    "patch_size": 4,
    "img_size_audio": [12, 4],
    "patch_size_audio": 2,
    "tubelet_size": 4,
    "mlp_ratio": 2.5,
    "qk_scale": 0.3,
    "init_values": 0.1,
    "qkv_bias": True,
    "drop_path_rate": 0.2,
}
"""Options that no published model uses."""

FINETUNE_CASES: list[dict[str, Any]] = [
    {**PLAIN, "qkv_bias": True, "num_classes": 6}
    | {
        "embed_dim": 8,
        "depth": 2,
        "num_heads": 2,
        "embed_dim_audio": 8,
        "depth_audio": 2,
        "num_heads_audio": 2,
    }
    | {"fusion_depth": 2, "fusion_num_heads": 2},
    {**ODD, "num_classes": 3, "all_frames": 8, "head_activation_func": "tanh"}
    | {
        "embed_dim": 10,
        "depth": 3,
        "num_heads": 3,
        "embed_dim_audio": 6,
        "depth_audio": 1,
        "num_heads_audio": 2,
    }
    | {"fusion_depth": 1, "fusion_num_heads": 4},
    {**PLAIN, "qkv_bias": False, "num_classes": 0, "img_size": [8, 4], "patch_size": [4, 2]}
    | {
        "embed_dim": 8,
        "depth": 1,
        "num_heads": 1,
        "embed_dim_audio": 12,
        "depth_audio": 2,
        "num_heads_audio": 3,
    }
    | {"fusion_depth": 2, "fusion_num_heads": 2},
]

PRETRAIN_CASES: list[dict[str, Any]] = [
    {**PLAIN, "qkv_bias": True, "return_intermediate_features": [0, 2], "decoder_num_classes": 96}
    | {"encoder_embed_dim": 8, "encoder_depth": 3, "encoder_num_heads": 2, "decoder_embed_dim": 6}
    | {"encoder_embed_dim_audio": 8, "encoder_depth_audio": 3, "encoder_num_heads_audio": 2}
    | {
        "decoder_depth": 3,
        "decoder_num_heads": 2,
        "decoder_num_classes_audio": 16,
        "decoder_embed_dim_audio": 6,
    }
    | {"decoder_depth_audio": 3, "decoder_num_heads_audio": 2, "encoder_fusion_num_heads": 2},
    {**ODD, "return_intermediate_features": [2, -1, 0], "decoder_num_classes": 192}
    | {"encoder_embed_dim": 8, "encoder_depth": 4, "encoder_num_heads": 3, "decoder_embed_dim": 6}
    | {"encoder_embed_dim_audio": 8, "encoder_depth_audio": 3, "encoder_num_heads_audio": 4}
    | {
        "decoder_depth": 4,
        "decoder_num_heads": 3,
        "decoder_num_classes_audio": 4,
        "decoder_embed_dim_audio": 10,
    }
    | {"decoder_depth_audio": 4, "decoder_num_heads_audio": 1, "encoder_fusion_num_heads": 2}
    | {"encoder_fusion_depth": 1, "inter_contrastive_temperature": 0.2, "encoder_num_classes": 8},
    {**PLAIN, "qkv_bias": False, "return_intermediate_features": [], "decoder_num_classes": 96}
    | {"encoder_embed_dim": 8, "encoder_depth": 1, "encoder_num_heads": 2, "decoder_embed_dim": 4}
    | {"encoder_embed_dim_audio": 4, "encoder_depth_audio": 2, "encoder_num_heads_audio": 2}
    | {
        "decoder_depth": 1,
        "decoder_num_heads": 2,
        "decoder_num_classes_audio": 16,
        "decoder_embed_dim_audio": 8,
    }
    | {"decoder_depth_audio": 1, "decoder_num_heads_audio": 2, "encoder_fusion_num_heads": 2}
    | {"encoder_fusion_depth": 0},
]


def state_of(network: nn.Module) -> State:
    """Random values everywhere, so that a forgotten bias or scale shows."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.3)
    return {name: value.detach() for name, value in network.eval().state_dict().items()}


def plain_features(state: State, a: dict[str, Any], video: Tensor, audio: Tensor) -> Tensor:
    scale = a.get("qk_scale")
    streams: list[Tensor] = []
    lasts: list[Tensor] = []
    for clip, suffix in ((video, ""), (audio, "_audio")):
        x = embed(state, f"encoder{suffix}", clip)
        layers = encoder_layers(
            state, f"encoder{suffix}", x, a[f"depth{suffix}"], a[f"num_heads{suffix}"], scale
        )
        weights = state["audio_layer_weights" if suffix else "video_layer_weights"].exp()
        means = [layer.mean(dim=0) for layer in layers]
        streams.append(
            torch.stack([w * mean for w, mean in zip(weights, means, strict=True)]).sum(0) / weights.sum()
        )
        lasts.append(layers[-1])
    fused = fuse(state, lasts[0], lasts[1], a["fusion_depth"], a["fusion_num_heads"], scale)
    return norm(state, "fc_norm", torch.cat([*streams, *(x.mean(dim=0) for x in fused)]))


@pytest.mark.parametrize("arguments", FINETUNE_CASES)
def test_the_classifier_is_the_plain_one(arguments: dict[str, Any]) -> None:
    network = HiCMAEClassifier(finetune_config(arguments))
    state = state_of(network)
    backbone = network.config.backbone
    video = torch.randn(2, 3, backbone.num_frames, *backbone.video.size)
    audio = torch.randn(2, 1, *backbone.audio.size)
    features, logits = network.features(video, audio), network(video, audio)
    assert features.shape == (2, 2 * (backbone.video.dim + backbone.audio.dim))
    for i in range(2):
        expected = plain_features(state, arguments, video[i], audio[i])
        torch.testing.assert_close(features[i], expected, atol=1e-4, rtol=1e-4)
        if arguments["num_classes"]:
            expected = linear(state, "head", expected)
        if "head_activation_func" in arguments:
            expected = torch.tanh(expected)
        torch.testing.assert_close(logits[i], expected, atol=1e-4, rtol=1e-4)


def plain_decoder(
    state: State, a: dict[str, Any], suffix: str, x: Tensor, skips: list[Tensor], mask: Tensor
) -> Tensor:
    scale, num_heads = a.get("qk_scale"), a[f"decoder_num_heads{suffix}"]
    to_decoder = state[f"encoder_to_decoder{suffix}.weight"].T
    table = positions(len(mask), to_decoder.shape[1])
    masked = state[f"mask_token{suffix}"][0] + table[mask]
    y = torch.cat([x @ to_decoder + table[~mask], masked])
    y = block(state, f"decoder{suffix}.blocks.0", y, num_heads, scale)
    for i, skip in enumerate(reversed(skips), start=1):
        context = skip @ to_decoder + table[~mask]
        y = block(state, f"decoder{suffix}.blocks.{i}", y, num_heads, scale, context=context)
    return linear(state, f"decoder{suffix}.head", norm(state, f"decoder{suffix}.norm", y[-len(masked) :]))


@pytest.mark.parametrize("arguments", PRETRAIN_CASES)
def test_the_autoencoder_is_the_plain_one(arguments: dict[str, Any]) -> None:
    a: dict[str, Any] = {"encoder_fusion_depth": 2, "inter_contrastive_temperature": 0.07, **arguments}
    network = HiCMAEAutoencoder(pretrain_config(arguments))
    state = state_of(network)
    backbone = network.config.backbone
    video = torch.randn(3, 3, 16, *backbone.video.size)
    audio = torch.randn(3, 1, *backbone.audio.size)
    rows, columns = backbone.audio.grid
    mask_video, mask_audio = tube_mask(3, backbone.video_grid, 0.5), random_mask(3, rows * columns, 0.5)
    output = network(video, audio, mask_video, mask_audio)

    pooled: dict[str, list[Tensor]] = {"": [], "_audio": []}
    for i in range(3):
        tokens: list[Tensor] = []
        skips: list[list[Tensor]] = []
        for clip, mask, suffix in ((video[i], mask_video[i], ""), (audio[i], mask_audio[i], "_audio")):
            x = embed(state, f"encoder{suffix}", clip)[~mask]
            depth, num_heads = a[f"encoder_depth{suffix}"], a[f"encoder_num_heads{suffix}"]
            layers = encoder_layers(state, f"encoder{suffix}", x, depth, num_heads, a.get("qk_scale"))
            chosen = [layers[k] for k in a["return_intermediate_features"]]
            skips.append(chosen)
            if chosen:
                means = torch.stack([layer.mean(dim=0) for layer in chosen])
                pooled[suffix].append(means / means.norm(dim=1, keepdim=True))
            last = layers[-1]
            has_head = a.get("encoder_num_classes", 0) > 0
            tokens.append(linear(state, f"encoder{suffix}.head", last) if has_head else last)
        depth, num_heads = a["encoder_fusion_depth"], a["encoder_fusion_num_heads"]
        fused_video, fused_audio = fuse(state, tokens[0], tokens[1], depth, num_heads, a.get("qk_scale"))
        expected_video = plain_decoder(state, a, "", fused_video, skips[0], mask_video[i])
        expected_audio = plain_decoder(state, a, "_audio", fused_audio, skips[1], mask_audio[i])
        torch.testing.assert_close(output.video[i], expected_video, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(output.audio[i], expected_audio, atol=1e-4, rtol=1e-4)

    assert len(output.logits_per_video) == len(a["return_intermediate_features"])
    for k, logits in enumerate(output.logits_per_video):
        of_video = torch.stack([layers[k] for layers in pooled[""]])
        of_audio = torch.stack([layers[k] for layers in pooled["_audio"]])
        expected = of_video @ of_audio.T / a["inter_contrastive_temperature"]
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
