"""Where an extraction runs, as chosen on the command line."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from blended.data.errors import InputError, unknown_name

if TYPE_CHECKING:
    from blended.encoders.engines import Engine

ENGINES = ("local", "ray")


def chosen_engine(name: str, address: str | None, device: str, log: Callable[[str], None]) -> "Engine | None":
    """The engine of that name for `extract`; None is the local one.

    Raises InputError for another name, and for the address of a cluster that is not asked for.
    """
    if name not in ENGINES:
        raise unknown_name("engine", name, ENGINES)
    if name == "local":
        if address is not None:
            raise InputError(
                f"--address {address} was given for --engine local, which runs on this machine alone: add "
                f"--engine ray, or leave the address out"
            )
        return None
    from blended.studies.ray_extraction import on_ray

    return on_ray(address, device, log)
