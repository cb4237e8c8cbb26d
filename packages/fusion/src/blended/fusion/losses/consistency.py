"""R-Drop: two passes through the same network with different dropout should agree."""

import torch
from jaxtyping import Float
from torch import Tensor


def symmetric_kl(
    logits_a: Float[Tensor, "*batch E"], logits_b: Float[Tensor, "*batch E"]
) -> Float[Tensor, "*batch"]:
    """(KL(a || b) + KL(b || a)) / 2 of two softmax distributions per item, in nats, >= 0.

    The regulariser of R-Drop (arXiv 2106.14448). Gradients flow into both.

    >>> a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    >>> round(symmetric_kl(a, b).item(), 4), symmetric_kl(a, a + 5).item()
    (1.5232, 0.0)
    """
    log_a, log_b = torch.log_softmax(logits_a, dim=-1), torch.log_softmax(logits_b, dim=-1)
    # Both directions in one sum whose every term is >= 0.
    return ((log_a.exp() - log_b.exp()) * (log_a - log_b)).sum(dim=-1) / 2
