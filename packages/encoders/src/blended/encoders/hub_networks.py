"""The networks behind `hf:` encoders: models and processors of transformers, from a local folder.

The processor is the library's own, so what the network gets is right by construction. Clips are encoded one
by one: not every model can mask what is padding.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blended.data.errors import InputError
from blended.data.media import Frames, Waveform
from blended.encoders.device import Precision, ready, running
from blended.encoders.encoder import (
    ONLY_LAYER,
    RANDOM,
    AudioStream,
    AudioVisual,
    AudioVisualStream,
    NetworkEncoder,
    Output,
)
from blended.encoders.faces import FaceCrop
from blended.encoders.names import layer_range
from blended.encoders.networks.checkpoint import check_complete, quiet
from blended.encoders.pictures import cut_windows, picture_stream

EMBEDDERS = {
    "image": ("get_image_features",),
    "video": ("get_vision_features", "get_video_embeds", "get_video_features"),
    "audio-visual": ("get_audio_video_embeds",),
    "audio": ("get_audio_features",),
}
"""Methods of models that give an embedding of their input, by what it is."""

EMBEDDINGS = ("audio_video_embeds", "image_embeds", "video_embeds", "audio_embeds", "pooler_output")
"""Fields of a model's output that are one vector per input."""

PICTURES_AT_ONCE = 16
LARGEST_PICTURE = 1024
PROBE_SECONDS = 2.0


def frames_from_hub(
    folder: Path, rate_hz: float, faces: FaceCrop | None, precision: Precision, device: str
) -> NetworkEncoder[Frames]:
    """One vector per picture."""
    model, prepare = _model(folder, device), _prepare_pictures(folder)
    embed = _embedder(model, "image")

    def encode(inputs: Sequence[Frames]) -> list[Mapping[str, NDArray[np.floating]]]:
        with running(device, precision):
            return [
                {
                    ONLY_LAYER: _stacked(
                        [
                            embed(prepare(item.values[at : at + PICTURES_AT_ONCE]))
                            for at in range(0, len(item.values), PICTURES_AT_ONCE)
                        ]
                    )
                }
                for item in inputs
            ]

    stream = picture_stream(rate_hz, LARGEST_PICTURE // 2, faces)
    probe = Frames(np.zeros((1, 64, 64, 3), np.uint8), rate_hz, 0.0)
    dim = encode([probe])[0][ONLY_LAYER].shape[1]
    return NetworkEncoder(stream, Output(dim, rate_hz), 8, encode, model)


def video_from_hub(
    folder: Path,
    frame_rate_hz: float,
    num_frames: int | None,
    stride_frames: int,
    faces: FaceCrop | None,
    precision: Precision,
    device: str,
) -> NetworkEncoder[Frames]:
    """One vector per window of frames."""
    import torch

    model, prepare = _model(folder, device), _prepare_video(folder)
    embed = _embedder(model, "video")
    window = num_frames or _frames_of(model.config, folder)

    def encode(inputs: Sequence[Frames]) -> list[Mapping[str, NDArray[np.floating]]]:
        encoded: list[Mapping[str, NDArray[np.floating]]] = []
        with running(device, precision):
            for item in inputs:
                windows = cut_windows(torch.from_numpy(item.values), window, stride_frames)
                rows = [embed(prepare(part.numpy())) for part in windows]
                encoded.append({ONLY_LAYER: _stacked(rows)})
        return encoded

    stream = picture_stream(frame_rate_hz, LARGEST_PICTURE // 2, faces)
    probe = Frames(np.zeros((window, 64, 64, 3), np.uint8), frame_rate_hz, 0.0)
    dim = encode([probe])[0][ONLY_LAYER].shape[1]
    return NetworkEncoder(stream, Output(dim, frame_rate_hz / stride_frames), 4, encode, model)


def audio_from_hub(folder: Path, layers: str, precision: Precision, device: str) -> NetworkEncoder[Waveform]:
    """Layers over time where the model says how many samples make a step, else one vector per clip."""
    model, extractor = _model(folder, device), _processor("AutoFeatureExtractor", folder)
    rate_hz = int(extractor.sampling_rate)
    ratio = getattr(model.config, "inputs_to_logits_ratio", None)
    names = layer_range(layers, model.config.num_hidden_layers) if ratio else (ONLY_LAYER,)
    embed = _embedder(model, "audio")

    def encode_one(item: Waveform) -> Mapping[str, NDArray[np.floating]]:
        given = extractor(item.values, sampling_rate=rate_hz, return_tensors="pt").to(device)
        if not ratio:
            return {ONLY_LAYER: _stacked([embed(given)])}
        result = model(**given, output_hidden_states=True)
        states = (*result.hidden_states[:-1], result.last_hidden_state)
        return {name: states[int(name)][0].float().cpu().numpy() for name in names}

    def encode(inputs: Sequence[Waveform]) -> list[Mapping[str, NDArray[np.floating]]]:
        with running(device, precision):
            return [encode_one(item) for item in inputs]

    probe = Waveform(np.zeros(round(PROBE_SECONDS * rate_hz), np.float32), rate_hz, 0.0)
    dim = encode([probe])[0][names[0]].shape[1]
    output = Output(dim, rate_hz / ratio if ratio else 0.0, names)
    return NetworkEncoder(AudioStream(rate_hz), output, 8, encode, model)


def audio_visual_from_hub(
    folder: Path, frame_rate_hz: float, faces: FaceCrop | None, precision: Precision, device: str
) -> NetworkEncoder[AudioVisual]:
    """One vector per clip."""
    model, prepare = _model(folder, device), _prepare_video(folder)
    extractor = _processor("AutoFeatureExtractor", folder)
    rate_hz = int(extractor.sampling_rate)
    embed = _embedder(model, "audio-visual")

    def encode_one(item: AudioVisual) -> Mapping[str, NDArray[np.floating]]:
        given = {
            **extractor(item.waveform.values, sampling_rate=rate_hz, return_tensors="pt").to(device),
            **prepare(item.frames.values),
        }
        given.pop("padding_mask", None)  # Of one clip all is there.
        return {ONLY_LAYER: _stacked([embed(given)])}

    def encode(inputs: Sequence[AudioVisual]) -> list[Mapping[str, NDArray[np.floating]]]:
        with running(device, precision):
            return [encode_one(item) for item in inputs]

    stream = AudioVisualStream(
        picture_stream(frame_rate_hz, LARGEST_PICTURE // 2, faces), AudioStream(rate_hz)
    )
    probe = AudioVisual(
        Frames(np.zeros((8, 64, 64, 3), np.uint8), frame_rate_hz, 0.0),
        Waveform(np.zeros(round(PROBE_SECONDS * rate_hz), np.float32), rate_hz, 0.0),
    )
    dim = encode([probe])[0][ONLY_LAYER].shape[1]
    return NetworkEncoder(stream, Output(dim, 0.0), 4, encode, model)


def _model(folder: Path, device: str) -> Any:
    """The network, complete; raises InputError."""
    import transformers

    if folder == RANDOM:
        raise InputError(
            "an `hf:` encoder gets its architecture from its repository, so it has no untrained form: fetch "
            "it first, or name a folder with config.json and model.safetensors as its weights"
        )
    if not (folder / "config.json").is_file():
        raise InputError(
            f"{folder} holds no config.json, expected a local copy of a model's repository: fetch it with "
            f"`blended encoders fetch hf:owner/model`"
        )
    quiet()
    try:
        model, report = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, dtype="float32"
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder} cannot be loaded as a model of transformers {transformers.__version__}: "
            f"{str(error).splitlines()[0]}"
        ) from error
    check_complete(report, type(model).__name__, str(folder))
    if hasattr(model, "get_encoder") and model.config.is_encoder_decoder:
        model = model.get_encoder()
    return ready(model, device)


def _processor(kind: str, folder: Path) -> Any:
    import transformers

    try:
        return getattr(transformers, kind).from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder} holds no settings for its {kind}: {str(error).splitlines()[0]}; state another `kind` "
            f"or fetch the repository again"
        ) from error


def _prepare_pictures(folder: Path) -> Callable[[NDArray[np.uint8]], Any]:
    processor = _processor("AutoImageProcessor", folder)
    return lambda values: processor([*values], return_tensors="pt")


def _prepare_video(folder: Path) -> Callable[[NDArray[np.uint8]], Any]:
    """With the processor for videos, or, for older models, that for pictures."""
    import torch

    names = ("video_preprocessor_config.json", "processor_config.json")
    if any((folder / name).is_file() for name in names):
        processor = _processor("AutoVideoProcessor", folder)
        return lambda values: processor(
            torch.from_numpy(np.ascontiguousarray(values)).permute(0, 3, 1, 2),
            do_sample_frames=False,
            return_tensors="pt",
        )
    pictures = _processor("AutoImageProcessor", folder)
    return lambda values: pictures([*values], return_tensors="pt")


def _embedder(model: Any, what: str) -> Callable[[Any], Any]:
    """From what a processor gives to [batch, dim]."""
    method = next((getattr(model, name) for name in EMBEDDERS[what] if hasattr(model, name)), model)

    def embed(given: Any) -> Any:
        on_device = {name: value.to(model.device) for name, value in given.items()}
        return _pooled(method(**on_device))

    return embed


def _pooled(result: Any) -> Any:
    """One vector per input of a model's answer: its embedding, or the mean over all its tokens."""
    for name in EMBEDDINGS:
        value = getattr(result, name, None)
        if value is not None and value.ndim == 2:
            return value
    tokens = result if hasattr(result, "ndim") else result.last_hidden_state
    if tokens.ndim == 4:  # Convolutional networks: [batch, channel, height, width].
        return tokens.mean(dim=(2, 3))
    return tokens if tokens.ndim == 2 else tokens.mean(dim=1)


def _frames_of(config: Any, folder: Path) -> int:
    for name in ("frames_per_clip", "num_frames"):
        if isinstance(value := getattr(config, name, None), int):
            return value
    raise InputError(f"{folder} does not say how many frames its model takes: add `num_frames:`")


def _stacked(parts: Sequence[Any]) -> NDArray[np.float32]:
    return np.concatenate([part.float().cpu().numpy() for part in parts])
