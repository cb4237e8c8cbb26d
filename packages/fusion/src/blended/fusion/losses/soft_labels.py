"""KL to soft labels, the loss of the BLEMORE baseline."""

import torch
from jaxtyping import Float
from torch import Tensor


def kl_to_soft_labels(
    logits: Float[Tensor, "*batch emotion"], targets: Float[Tensor, "*batch emotion"]
) -> Float[Tensor, "*batch"]:
    """KL(target || softmax(logits)) per item, in nats, >= 0; the loss of the BLEMORE baseline.

    >>> target = torch.tensor([[0.7, 0.3, 0.0]])
    >>> bool(kl_to_soft_labels(target.log(), target).abs().max() < 1e-6)
    True
    """
    log_p = torch.log_softmax(logits, dim=-1)
    return (torch.xlogy(targets, targets) - torch.where(targets > 0, targets * log_p, 0)).sum(dim=-1)
