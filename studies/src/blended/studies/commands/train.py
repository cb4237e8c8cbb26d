"""Commands that train: `blended train`, `pretrain`, and `plan`, which says what there is to train."""

import os
from pathlib import Path
from typing import Annotated

import typer

Root = Annotated[Path, typer.Option(help="Folder of params.yaml.")]


def train(
    recipes: Annotated[list[str] | None, typer.Argument(help="Recipes of params.yaml.")] = None,
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    again: Annotated[bool, typer.Option("--again", help="Train even if nothing has changed.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All recipes.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Recipes trained at a time.")] = 1,
) -> None:
    """Train recipes over all folds, decide, measure, and log an MLflow run each; what is there is kept."""
    from blended.studies import kept
    from blended.studies.folders import Folders
    from blended.studies.progress import say

    if bool(recipes) == every:
        raise typer.BadParameter("name one or several recipes, or use --all")
    folders = Folders(root)
    names = kept.recipe_names(folders) if every else list(recipes or ())
    due: list[str] = []
    for name in dict.fromkeys(names):
        if again or not kept.is_kept(folders, name):
            due.append(name)
        else:
            say(f"{name}: nothing that it depends on has changed; kept")
    if due or not names:
        from blended.studies.training import train_recipes

        for sentence in train_recipes(due, folders, log=say, device=device, again=again, workers=workers):
            typer.echo(sentence)


plans = typer.Typer(help="Write down what every stage of dvc.yaml depends on.", no_args_is_help=True)


@plans.command()
def code(root: Root = Path()) -> None:
    """Versions of the code of every stage before training, and of the report."""
    from blended.studies.corpus_params import read_feature_params
    from blended.studies.folders import Folders
    from blended.studies.plans import write_code_plans

    folders = Folders(root)
    write_code_plans(read_feature_params(folders.params), folders)


@plans.command()
def recipes(root: Root = Path()) -> None:
    """What the run of every recipe must be made from: config, corpus, features and code."""
    from blended.studies.folders import Folders
    from blended.studies.params import read_params
    from blended.studies.plans import write_recipe_plans

    folders = Folders(root)
    write_recipe_plans(read_params(folders.params), folders)


pretraining = typer.Typer(help="Learn from a corpus's clips without their labels.", no_args_is_help=True)


@pretraining.callback()
def pretrain() -> None:
    """Keeps the network's name a part of the command."""


@pretraining.command()
def hicmae(
    out: Annotated[Path, typer.Option(help="The checkpoint to write, .safetensors.")],
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
    size: Annotated[str, typer.Option(help="tiny, small, base, or demo for a CPU.")] = "demo",
    epochs: Annotated[int, typer.Option(min=1)] = 100,
    batch_size: Annotated[int, typer.Option(min=2, help="Clips per step, over all processes.")] = 64,
    learning_rate: Annotated[
        float | None, typer.Option(help="Default as published: 3e-4 for 256 clips per step.")
    ] = None,
    warmup_epochs: Annotated[float, typer.Option(min=0)] = 5,
    windows: Annotated[int, typer.Option(min=1, help="Stretches of 2.56 s per clip.")] = 1,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Parts of a step whose gradients are added up, to save memory.")
    ] = 1,
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16.")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda; one per process under torchrun.")] = "cpu",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode.")] = 1,
) -> None:
    """Masked reconstruction and hierarchical contrast (HiCMAE) on all clips of the chosen corpus.

    No label is used, but clips of every fold are: what is fine-tuned from it on this corpus is called
    transductive. Interrupted, it goes on with the same command. On several devices:
    torchrun --nproc-per-node 2 -m blended.studies pretrain hicmae --out FILE --device cuda
    """
    from blended.data.errors import InputError, unknown_name
    from blended.encoders.networks.hicmae.config import BACKBONES
    from blended.fusion.config import TrainingConfig
    from blended.fusion.hicmae.pretraining import PretrainingConfig
    from blended.fusion.parallel import joined_processes
    from blended.studies.folders import Folders
    from blended.studies.pretraining import pretrain_corpus

    if size not in (*BACKBONES, "demo"):
        raise unknown_name("HiCMAE size", size, [*BACKBONES, "demo"])
    if out.suffix != ".safetensors":
        raise InputError(f"--out {out}: expected a name that ends with .safetensors")
    training = TrainingConfig(
        learning_rate=learning_rate or 3e-4 * batch_size / 256,
        weight_decay=0.05,
        beta2=0.95,
        batch_size=batch_size,
        max_epochs=epochs,
        schedule="cosine",
        warmup_epochs=warmup_epochs,
        amp="bfloat16" if bf16 else "none",
    )
    config = PretrainingConfig.model_validate({"size": size, "windows": windows, "training": training})
    with joined_processes(os.environ, device) as (parallel, own_device):
        pretrain_corpus(
            config,
            Folders(root),
            out,
            seed=seed,
            device=own_device,
            pieces=accumulate,
            parallel=parallel,
            workers=workers,
        )
