"""Checkpoints are read without unpickling and loaded without gaps."""

import argparse
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from blended.data.errors import InputError
from blended.encoders.networks.checkpoint import load_state, read_state


class Payload:
    """What an attacker would put beside the weights."""

    executed = False

    def __setstate__(self, state: dict[str, object]) -> None:
        Payload.executed = True


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))


def state() -> dict[str, Tensor]:
    return dict(network().state_dict())


@pytest.mark.parametrize("key", ["model", "module", "state_dict", None])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_state_is_found_where_official_scripts_put_it(
    tmp_path: Path, key: str | None, prefix: str
) -> None:
    expected = state()
    named = {f"{prefix}{name}": value for name, value in expected.items()}
    path = tmp_path / "official.pth"
    torch.save({key: named, "epoch": 3} if key else named, path)
    found = read_state(path)
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_command_line_of_the_training_script_may_lie_beside_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "official.pth"
    arguments = argparse.Namespace(lr=1e-3, model="base", betas=[0.9, 0.95], audio_conf={"mean": -4.27})
    torch.save({"model": state(), "optimizer": {"state": {}}, "args": arguments}, path)
    assert list(read_state(path)) == list(state())


def test_old_files_of_torch_are_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save({"model": state()}, path, _use_new_zipfile_serialization=False)
    assert list(read_state(path)) == list(state())


def test_safetensors_are_read_under_a_prefix(tmp_path: Path) -> None:
    path = tmp_path / "fixture.safetensors"
    save_file({"video": torch.zeros(2)} | {f"state.{name}": value for name, value in state().items()}, path)
    assert set(read_state(path, prefix="state.")) == set(state())
    assert "video" in read_state(path)
    with pytest.raises(
        InputError, match=r"fixture.safetensors: no parameters under 'net.'; the file holds state\.0"
    ):
        read_state(path, prefix="net.")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_needs_unpickling_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "pickled.pth"
    payload = Payload()
    payload.__dict__["value"] = 1
    torch.save({"model": state(), "config": payload}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        InputError, match=r"pickled.pth: holds Python objects .* convert it once: safetensors.torch"
    ):
        read_state(path)
    assert not Payload.executed


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth", "old.pth"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    if name.endswith(".safetensors"):
        save_file(state(), path)
    else:
        torch.save({"model": state()}, path, _use_new_zipfile_serialization=name != "old.pth")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(
        InputError, match=rf"{name}: \d+ bytes that are not a whole safetensors or PyTorch file"
    ):
        read_state(path)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>404</html>", b"\x80"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "download.pth"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match="not a whole safetensors or PyTorch file; expected a checkpoint, download"
    ):
        read_state(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"none\.pth: no such file; download the checkpoint first or correct"
    ):
        read_state(tmp_path / "none.pth")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([1, 2], "holds a list; expected a dictionary of parameters"),
        (
            {"epoch": 3, "lr": 0.1},
            "no parameters under model, module, state_dict .* the file holds epoch, lr",
        ),
        (
            {"model": {}},
            "no parameters under model, module, state_dict or at the top level; the file holds model",
        ),
        (
            {"model": {"a": torch.zeros(1), "step": 3}},
            "step among the parameters are not tensors; save the state_d",
        ),
        (
            {"a.b": torch.zeros(1), "module.a.b": torch.zeros(1)},
            "some parameters occur with and without 'module.'",
        ),
    ],
)
def test_a_file_without_one_state_is_refused(tmp_path: Path, content: object, sentence: str) -> None:
    path = tmp_path / "odd.pth"
    torch.save(content, path)
    with pytest.raises(InputError, match=f"odd.pth: {sentence}"):
        read_state(path)


def test_loading_takes_every_parameter() -> None:
    fitted, given = network(), {name: torch.full_like(value, 2.0) for name, value in state().items()}
    loaded = load_state(fitted, given, "f.pth")
    assert loaded.new == loaded.ignored == ()
    assert all(torch.all(value == 2.0) for value in fitted.state_dict().values())


def test_missing_and_unexpected_parameters_are_named_and_nothing_is_loaded() -> None:
    fitted = network()
    before = {name: value.clone() for name, value in fitted.state_dict().items()}
    given = {name: value + 1 for name, value in before.items()}
    given["head.weight"] = given.pop("0.bias")
    sentence = (
        r"f.pth: parameters 1 missing \(0.bias\) and 1 unexpected \(head.weight\) for a Sequential; take the"
    )
    with pytest.raises(InputError, match=sentence):
        load_state(fitted, given, "f.pth")
    assert all(torch.equal(value, before[name]) for name, value in fitted.state_dict().items())


def test_only_a_few_of_many_names_are_listed() -> None:
    given = state() | {f"extra.{i}": torch.zeros(1) for i in range(30)}
    with pytest.raises(InputError, match=r"30 unexpected \(extra.0, .*, extra.4 and 25 more\)"):
        load_state(network(), given, "f.pth")


def test_another_shape_is_named() -> None:
    given = state() | {"0.weight": torch.zeros(4, 5)}
    sentence = (
        r"1 parameters have another shape \(0.weight is \[4, 5\] in the file and \[4, 3\] in the network\)"
    )
    with pytest.raises(InputError, match=sentence):
        load_state(network(), given, "f.pth")


def test_new_and_ignored_parameters_must_be_declared() -> None:
    fitted, given = network(), state()
    del given["1.weight"]
    given["decoder.weight"] = torch.zeros(1)
    loaded = load_state(fitted, given, "f.pth", new=("1.",), ignored=("decoder.",))
    assert loaded.new == ("1.weight",)
    assert loaded.ignored == ("decoder.weight",)
