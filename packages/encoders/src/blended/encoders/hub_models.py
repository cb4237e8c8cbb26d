"""Loading networks of the transformers library from one local file, without gaps and without the hub."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blended.data.errors import InputError
from blended.encoders.device import seeded
from blended.encoders.encoder import RANDOM

if TYPE_CHECKING:
    from torch import Tensor, nn

_NUM_LISTED = 5


def built(model: Any, config: Any, weights: Path) -> "nn.Module":
    """A network of class `model`, untrained or with every parameter from a checkpoint.

    Parameters of the file that the network lacks (heads, the text side, ...) are left out. Raises InputError
    for a file that is damaged, needs unpickling, or lacks a parameter.
    """
    quiet()
    if weights == RANDOM:
        with seeded():
            return model(config)
    from blended.encoders.networks.checkpoint import read_state

    return filled(model, config, read_state(weights), str(weights))


def filled(model: Any, config: Any, state: "dict[str, Tensor]", source: str) -> "nn.Module":
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
