"""`blended pretrain`: learn from unlabelled clips."""

import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Learn from a corpus's clips without their labels.", no_args_is_help=True)


@app.callback()
def pretrain() -> None:
    """Keeps the network's name a part of the command."""


@app.command()
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
