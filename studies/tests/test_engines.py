"""The choice of an engine on the command line."""

import pytest

from blended.data import InputError
from blended.studies.ray_extraction import chosen_engine


def test_the_local_engine_is_that_of_the_loop() -> None:
    assert chosen_engine("local", None, "cpu", print) is None


def test_a_cluster_is_joined_when_there_is_work() -> None:
    engine = chosen_engine("ray", None, "cpu", print)
    assert callable(engine)


def test_choices_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="unknown engine 'rai': did you mean 'ray'"):
        chosen_engine("rai", None, "cpu", print)
    with pytest.raises(InputError, match=r"--address auto was given for --engine local.* add --engine ray"):
        chosen_engine("local", "auto", "cpu", print)
