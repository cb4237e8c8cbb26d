"""Reading checkpoints without running code from them, and loading them without gaps.

A checkpoint is a safetensors file, or an official `.pth` read with `torch.load(weights_only=True)`. It is
loaded into a network of ours, or into one of the transformers library, without the hub.
"""

import argparse
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from blended.data.checksums import check_seal_if_any
from blended.data.errors import InputError, some
from blended.encoders.device import seeded
from blended.encoders.encoder import RANDOM

STATE_KEYS = ("model", "module", "state_dict")
"""Where the official training scripts put the parameters, in this order; else they lie at the top level."""

_NUM_LISTED = 5
_ZIP_START, _PICKLE_START = b"PK", b"\x80"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `load_state` did not take from the checkpoint, by parameter name."""

    new: tuple[str, ...]
    """In the network and not in the checkpoint: keeps its initial values."""
    ignored: tuple[str, ...]
    """In the checkpoint and not used."""


def read_state(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """The parameters in a checkpoint, by official name, on the CPU.

    Looks under `model`, `module` and `state_dict`, then at the top level, and strips `module.` from names.
    With `prefix` only the names that begin with it are returned, without it.

    Raises:
        InputError: for a missing, damaged or truncated file, one that would have to be unpickled, and one
            without parameters.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; download the checkpoint first or correct the path")
    with path.open("rb") as file:
        start = file.read(2)
    if start.startswith((_ZIP_START, _PICKLE_START)) and path.suffix != ".safetensors":
        found = _state_in(_read_torch(path), path)
    else:
        found = _read_safetensors(path)
    stripped = {name.removeprefix("module."): value for name, value in found.items()}
    if len(stripped) < len(found):
        raise InputError(
            f"{path}: some parameters occur with and without 'module.'; save the state of one model"
        )
    state = {name.removeprefix(prefix): value for name, value in stripped.items() if name.startswith(prefix)}
    if not state:
        raise InputError(f"{path}: no parameters under {prefix!r}; the file holds {_some(stripped)}")
    return state


def load_state(
    network: nn.Module,
    state: Mapping[str, Tensor],
    source: str,
    *,
    new: Sequence[str] = (),
    ignored: Sequence[str] = (),
) -> Loaded:
    """Loads every parameter of `network` from `state`.

    `new` and `ignored` are beginnings of names: parameters of the network that the checkpoint may lack, and
    parameters of the checkpoint that are not used. `source` names the checkpoint for messages.

    Raises:
        InputError: for any other missing or unexpected parameter and for one of another shape; then nothing
            is loaded.
    """
    own = network.state_dict()
    unused = tuple(name for name in state if name not in own and name.startswith(tuple(ignored)))
    absent = tuple(name for name in own if name not in state and name.startswith(tuple(new)))
    missing = [name for name in own if name not in state and name not in absent]
    unexpected = [name for name in state if name not in own and name not in unused]
    kind = type(network).__name__
    if missing or unexpected:
        parts = [
            f"{len(names)} {what} ({_some(names)})"
            for names, what in ((missing, "missing"), (unexpected, "unexpected"))
            if names
        ]
        raise InputError(
            f"{source}: parameters {' and '.join(parts)} for a {kind}; take the checkpoint and "
            "the configuration of the same network"
        )
    if wrong := [name for name in own if name not in absent and state[name].shape != own[name].shape]:
        shapes = "; ".join(
            f"{name} is {list(state[name].shape)} in the file and {list(own[name].shape)} in the network"
            for name in wrong[:_NUM_LISTED]
        )
        raise InputError(
            f"{source}: {len(wrong)} parameters have another shape ({shapes}); take the sizes in "
            f"the configuration of the {kind} from the checkpoint"
        )
    kept = {name: own[name] for name in absent}
    network.load_state_dict({name: state[name] for name in own if name in state} | kept, strict=True)
    return Loaded(new=absent, ignored=unused)


def built(model: Any, config: Any, weights: Path) -> nn.Module:
    """A network of class `model`, untrained or with every parameter from a checkpoint.

    Parameters of the file that the network lacks (heads, the text side, ...) are left out. Raises InputError
    for a file that is damaged, needs unpickling, or lacks a parameter.
    """
    quiet()
    if weights == RANDOM:
        with seeded():
            return model(config)
    return filled(model, config, read_state(weights), str(weights))


def filled(model: Any, config: Any, state: dict[str, Tensor], source: str) -> nn.Module:
    """A network of class `model` from parameters by any name that transformers knows; raises InputError."""
    quiet()
    network, report = model.from_pretrained(
        None, config=config, state_dict=state, output_loading_info=True, ignore_mismatched_sizes=True
    )
    check_complete(report, type(network).__name__, source)
    return network.float()


def check_complete(report: Any, kind: str, source: str) -> None:
    """Raises InputError for what transformers would silently fill with random numbers."""
    missing = sorted(report["missing_keys"])
    wrong = sorted(str(key[0] if isinstance(key, tuple) else key) for key in report["mismatched_keys"])
    if missing or wrong or report["error_msgs"]:
        parts = [
            f"{len(names)} {what} ({', '.join(names[:_NUM_LISTED])}{', ...' * (len(names) > _NUM_LISTED)})"
            for names, what in ((missing, "missing"), (wrong, "of another shape"))
            if names
        ]
        raise InputError(
            f"{source}: parameters {' and '.join(parts) or report['error_msgs'][0]} for a {kind}; take the "
            f"checkpoint of the same network"
        )


def quiet() -> None:
    """Switches off transformers' own progress bars and reports: gaps are errors here, the rest is noise."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    # WavLM gives torch a mask of one type and a bias of another, which torch converts.
    warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")


def _read_torch(path: Path) -> object:
    # Official scripts save their command line beside the weights. A Namespace only holds values, and those
    # are checked like everything else, so allowing it runs no code.
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: holds Python objects beside the weights, and unpickling them could run any code; "
            "expected tensors only. If you trust the file, convert it once: safetensors.torch.save_file("
            "torch.load(path, weights_only=False)['model'], 'converted.safetensors'). "
            f"({_first_line(error)})"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise _damaged(path, error) from error


def _state_in(content: object, path: Path) -> Mapping[str, Tensor]:
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds a {type(content).__name__}; expected a dictionary of parameters")
    found: Mapping[Any, Any] = content
    for key in STATE_KEYS:
        if isinstance(content.get(key), Mapping):
            found = content[key]
            break
    if not any(isinstance(value, Tensor) for value in found.values()):
        raise InputError(
            f"{path}: no parameters under {', '.join(STATE_KEYS)} or at the top level; "
            f"the file holds {_some(content)}"
        )
    if others := [name for name, value in found.items() if not isinstance(value, Tensor)]:
        raise InputError(
            f"{path}: {_some(others)} among the parameters are not tensors; save the state_dict of the "
            "network alone"
        )
    return found


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    check_seal_if_any(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: {path.stat().st_size} bytes that are not a whole safetensors or PyTorch file; expected a "
        f"checkpoint, download it again ({_first_line(error)})"
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    found = [line for line in lines if "Unsupported" in line]
    return ([*found, *lines] or [type(error).__name__])[0][:200]


def _some(names: Mapping[Any, object] | Sequence[object]) -> str:
    return some(str(name) for name in names) or "nothing"
