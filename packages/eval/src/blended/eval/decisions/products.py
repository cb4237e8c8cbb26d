"""Matrix products of which every number depends on its own row and nothing else.

A BLAS adds up in an order that depends on its kernel (AVX2, AVX-512), its threads, the memory order of both
matrices and the number of rows, so the last bit of a clip's probability would too: a decision could come out
otherwise for one clip than for the same clip among others, or once it is stored and read. The matrices of
decisions are tiny. Here every sum is taken in the order of its terms, one rounding after each, as IEEE 754
says, on any processor.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def row_products(
    rows: Float[ndarray, "row feature"], columns: Float[ndarray, "feature column"]
) -> Float[ndarray, "row column"]:
    """`rows @ columns`; a row gives the same bits whatever the other rows, memory orders and processor are.

    >>> row_products(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    total = np.zeros((len(rows), columns.shape[1]))
    for feature in range(rows.shape[1]):
        total += rows[:, feature, None] * columns[feature]
    return total
