"""Running WavLM, HuBERT and wav2vec 2.0: sound in, layers out.

The networks are those of transformers. Clips of different lengths are encoded together with masks, so that
each gets the features that it gets alone: in the attention, in the positional convolution, and (which
transformers leaves out) in the group norm of the base networks, whose statistics run over time.

B batch, N sample, C channel, T time step, D width.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from blended.data.errors import InputError
from blended.data.media import Waveform
from blended.encoders.device import Precision, ready, running
from blended.encoders.encoder import RANDOM, AudioStream, NetworkEncoder, Output
from blended.encoders.networks.checkpoint import built, filled, read_state
from blended.encoders.networks.config import Architecture, Normalise
from blended.encoders.sound import at_least

RATE_HZ = 16000

# What the seven convolutions need for one time step.
SHORTEST_SAMPLES = 400

BATCH_SIZE = 32
"""Clips handed over at once; they are sorted by length and computed in groups of about the same length."""

SECONDS_AT_ONCE = {"cpu": 1.0}
"""Sound, with its padding, that is computed together, by kind of device. On a CPU one clip alone is fastest:
no mask, no padding, and more of it in the caches."""
SECONDS_AT_ONCE_ELSEWHERE = 320.0

NORM_EPS = 1e-7
"""Added to the variance of a normalised waveform, as transformers does."""


class MaskedGroupNorm(nn.Module):
    """One group per channel, with mean and variance over the time steps that are no padding.

    torch's own norm would count the padding, so that the features of a clip would depend on the longest one
    of its batch. Parameters have the names and values of the norm that it replaces.
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        """Raises ValueError for a norm with several channels per group."""
        super().__init__()
        if norm.num_groups != norm.num_channels:
            raise ValueError(f"{norm.num_groups} groups of {norm.num_channels} channels: expected one each")
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.num_groups = norm.num_groups
        self.num_steps: Sequence[int] = ()
        """Valid time steps of every clip of the batch to come; empty for all."""

    def forward(self, x_BCT: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch channel time"]:
        """The normalised batch; what is padding stays finite and means nothing."""
        length = x_BCT.shape[-1]
        if all(count == length for count in self.num_steps):
            return functional.group_norm(x_BCT, self.num_groups, self.weight, self.bias, self.eps)
        counts_B11 = torch.tensor(self.num_steps, device=x_BCT.device)[:, None, None]
        valid_B1T = torch.arange(length, device=x_BCT.device) < counts_B11
        wide_BCT = x_BCT.float()
        mean_BC1 = (wide_BCT * valid_B1T).sum(dim=-1, keepdim=True) / counts_B11
        centred_BCT = wide_BCT - mean_BC1
        variance_BC1 = (centred_BCT.square() * valid_B1T).sum(dim=-1, keepdim=True) / counts_B11
        scale_BC1 = self.weight[:, None] * (variance_BC1 + self.eps).rsqrt()
        return (centred_BCT * scale_BC1 + self.bias[:, None]).to(x_BCT.dtype)


def build_speech(
    architecture: Architecture,
    output: Output,
    *,
    normalise: Normalise,
    precision: Precision,
    device: str,
    weights: Path,
) -> NetworkEncoder[Waveform]:
    """An encoder of sound at 16 kHz; raises InputError for weights of another network."""
    network = ready(speech_network(architecture, weights), device)
    function = partial(
        encode_speech,
        run=SpeechRun(network, output.layers, device, precision),
        normalise=architecture.normalise or normalise == "always",
    )
    return NetworkEncoder(AudioStream(RATE_HZ), output, BATCH_SIZE, function, network)


def speech_network(architecture: Architecture, weights: Path) -> Any:
    """The network, its group norm exchanged for one that knows the clips' lengths."""
    if weights == RANDOM:
        network = built(architecture.model(), architecture.config(), weights)
    else:
        state = read_state(weights)
        # Publications differ in this bias; the file knows.
        conv_bias = any(name.endswith("feature_extractor.conv_layers.0.conv.bias") for name in state)
        config = architecture.config(conv_bias=conv_bias)
        network = filled(architecture.model(), config, state, str(weights))
    return with_masked_group_norm(network)


def with_masked_group_norm(network: Any) -> Any:
    """The network itself, changed in place; one without a group norm stays as it is."""
    first = network.feature_extractor.conv_layers[0]
    if isinstance(getattr(first, "layer_norm", None), nn.GroupNorm):
        first.layer_norm = MaskedGroupNorm(first.layer_norm)
    return network


@dataclass(frozen=True, slots=True)
class SpeechRun:
    """A network and how it is run."""

    network: Any
    layers: tuple[str, ...]
    device: str
    precision: Precision

    def __call__(self, samples: Sequence[Tensor]) -> list[dict[str, NDArray[np.float32]]]:
        """Layers of several waveforms, computed as one padded batch."""
        lengths = torch.tensor([len(item) for item in samples])
        padded_BN = torch.nn.utils.rnn.pad_sequence([*samples], batch_first=True).to(self.device)
        mask_BN = (torch.arange(padded_BN.shape[1]) < lengths[:, None]).to(self.device)
        first = self.network.feature_extractor.conv_layers[0]
        if isinstance(getattr(first, "layer_norm", None), MaskedGroupNorm):
            first.layer_norm.num_steps = [conv_steps(first.conv, int(length)) for length in lengths]
        # One clip needs no mask, and attention without one is faster.
        mask = mask_BN.long() if bool((lengths < padded_BN.shape[1]).any()) else None
        with running(self.device, self.precision):
            result = self.network(padded_BN, attention_mask=mask, output_hidden_states=True)
        steps = [int(self.network._get_feat_extract_output_lengths(int(length))) for length in lengths]
        # The last layer is the output, which large networks normalise; so it is in the papers' numbers.
        states = (*result.hidden_states[:-1], result.last_hidden_state)
        kept = {layer: states[int(layer)].float().cpu().numpy() for layer in self.layers}
        return [
            {layer: values[row, :count].copy() for layer, values in kept.items()}
            for row, count in enumerate(steps)
        ]


def conv_steps(conv: Any, num_samples: int) -> int:
    """Outputs of a convolution without padding."""
    return (num_samples - conv.kernel_size[0]) // conv.stride[0] + 1


def encode_speech(
    inputs: Sequence[Waveform],
    run: Callable[[Sequence[Tensor]], Sequence[Mapping[str, NDArray[np.float32]]]],
    *,
    normalise: bool,
    seconds_at_once: float | None = None,
) -> list[Mapping[str, NDArray[np.floating]]]:
    """Layers of every clip, in order; clips of about the same length are computed together."""

    device = getattr(run, "device", "cpu")
    limit = seconds_at_once or SECONDS_AT_ONCE.get(device, SECONDS_AT_ONCE_ELSEWHERE)
    samples = [prepared(item.values, normalise=normalise) for item in inputs]
    encoded: list[Mapping[str, NDArray[np.floating]]] = [{}] * len(inputs)
    for group in groups([len(item) for item in samples], round(limit * RATE_HZ)):
        results = run([torch.from_numpy(samples[place]) for place in group])
        for place, result in zip(group, results, strict=True):
            encoded[place] = result
    return encoded


def prepared(values: Float32[np.ndarray, "sample"], *, normalise: bool) -> Float32[np.ndarray, "padded"]:
    """A waveform as the network wants it; one too short for a time step is followed by silence."""
    samples = values
    if not len(samples):
        raise InputError("a sound without a sample cannot be encoded")
    if normalise:
        samples = (samples - samples.mean()) / np.sqrt(samples.var() + NORM_EPS)
    return np.ascontiguousarray(at_least(samples.astype(np.float32, copy=False), SHORTEST_SAMPLES))


def groups(lengths: Sequence[int], limit: int) -> list[list[int]]:
    """Places of clips to be computed together: longest first, at most `limit` samples with their padding.

    >>> groups([10, 30, 11, 29], 60)
    [[1, 3], [2, 0]]
    """
    ordered = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    made: list[list[int]] = []
    for place in ordered:
        if made and lengths[made[-1][0]] * (len(made[-1]) + 1) <= limit:
            made[-1].append(place)
        else:
            made.append([place])
    return made
