"""Standardisation and PCA against scikit-learn, fitted on training parts only."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from blended.data import InputError
from blended.fusion.plan import Job
from blended.fusion.preprocessing import PCAConfig, fit_components, fit_standardiser
from blended.fusion.sources import Pooled, pooled_source
from toys.problems import toy_inputs

SHAPES = [(60, 12), (20, 50)]
"""More clips than columns, and fewer."""


def features(num_clips: int, dim: int) -> torch.Tensor:
    """Correlated columns; variances that do not come too near to each other."""
    rng = np.random.default_rng(num_clips)
    mixed = rng.normal(size=(num_clips, dim)) * np.linspace(3, 0.5, dim) @ rng.normal(size=(dim, dim))
    return torch.tensor(mixed + 5, dtype=torch.float32)


def standardised(x: torch.Tensor) -> torch.Tensor:
    return torch.tensor(StandardScaler().fit_transform(x.double().numpy()), dtype=torch.float32)


def test_standardising_is_scikit_learns_on_every_part() -> None:
    x = features(60, 12)
    x[:, 3] = 7.25
    parts = [torch.arange(40), torch.arange(10, 60)]
    ours = fit_standardiser(x, parts)(x.expand(2, -1, -1))
    for model, rows in enumerate(parts):
        theirs = StandardScaler().fit(x[rows].double().numpy()).transform(x.double().numpy())
        np.testing.assert_allclose(ours[model], theirs, atol=2e-5)
    assert (ours[..., 3] == 0).all(), "a column that never varies says nothing"


@pytest.mark.parametrize(("num_clips", "dim"), SHAPES)
def test_whitened_components_are_scikit_learns_up_to_sign(num_clips: int, dim: int) -> None:
    z = standardised(features(num_clips, dim))
    ours = z @ fit_components(z, PCAConfig(components=6))
    theirs = PCA(6, whiten=True, svd_solver="full").fit_transform(z.double().numpy())
    # scikit-learn counts one degree of freedom less.
    theirs *= np.sqrt(num_clips / (num_clips - 1))
    for column in range(6):
        sign = np.sign(ours[0, column].item() * theirs[0, column])
        np.testing.assert_allclose(ours[:, column], sign * theirs[:, column], atol=5e-3)


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize(("num_clips", "dim"), SHAPES)
def test_components_are_orthogonal_and_whitened_to_variance_one(
    num_clips: int, dim: int, whiten: bool
) -> None:
    z = standardised(features(num_clips, dim))
    components = fit_components(z, PCAConfig(components=8, whiten=whiten))
    gram = components.T @ components
    scale = gram.diagonal().sqrt()
    assert torch.allclose(gram / scale / scale[:, None], torch.eye(8), atol=1e-4)
    variance = (z @ components).var(dim=0, correction=0)
    assert float(variance.mean()) == pytest.approx(1, abs=1e-3)
    assert torch.allclose(variance, torch.ones(8), atol=1e-3) == whiten
    assert (variance.diff() <= 1e-3).all(), "the leading ones come first"


@pytest.mark.parametrize(("num_clips", "dim"), SHAPES)
def test_without_whitening_distances_stay_up_to_one_factor(num_clips: int, dim: int) -> None:
    z = standardised(features(num_clips, dim))
    ratio = torch.pdist(z @ fit_components(z, PCAConfig(components=100, whiten=False))) / torch.pdist(z)
    assert float(ratio.max() / ratio.min()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("num_clips", [15, 90])
def test_directions_without_variance_are_left_out(num_clips: int) -> None:
    """30 columns of rank 4; rounding errors would be blown up to variance 1."""
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(num_clips, 4)) @ rng.normal(size=(4, 30)), dtype=torch.float32)
    z = standardised(x)
    components = fit_components(z, PCAConfig(components=20))
    assert components.shape == (30, 4)
    assert torch.allclose((z @ components).var(dim=0, correction=0), torch.ones(4), atol=1e-3)


def source(x: torch.Tensor, present: torch.Tensor | None = None) -> Pooled:
    jobs = [Job(np.arange(40), 1, 0, 0.1), Job(np.arange(20, 60), 1, 0, 0.1)]
    mask = torch.ones(len(x), dtype=torch.bool) if present is None else present
    return pooled_source({"x": x}, {"x": mask}, {"x": "audio"}, jobs, PCAConfig(components=5))


def test_it_is_fitted_on_the_training_part_only() -> None:
    x = features(60, 12)
    spoilt = x.clone()
    spoilt[40:] += 100 * torch.randn(20, 12, generator=torch.Generator().manual_seed(0))
    before, after = source(x).state([0, 1]), source(spoilt).state([0, 1])
    assert {*before} == {"x.mean", "x.spread", "x.components"}
    for name, value in before.items():
        assert torch.equal(value[0], after[name][0])
        assert not torch.allclose(value[1], after[name][1], atol=1e-2)


def test_clips_without_the_features_count_for_nothing() -> None:
    x = features(60, 12)
    present = torch.ones(60, dtype=torch.bool)
    present[::3] = False
    spoilt = torch.where(present[:, None], x, 1e5)
    ours, theirs = source(x, present), source(spoilt, present)
    rows = torch.arange(60)[None]
    for model in range(2):
        batches = [one.batch(torch.tensor([model]), rows) for one in (ours, theirs)]
        assert torch.equal(batches[0]["x"], batches[1]["x"])
        assert (batches[0]["x"][0, ::3] == 0).all() and (batches[0]["x"][0, 1::3] != 0).all()
        assert batches[0]["present"][0, :, 0].tolist() == present.tolist()


def test_a_part_without_any_clip_of_an_encoder_is_an_error() -> None:
    present = torch.arange(60) >= 40
    with pytest.raises(InputError, match="no clip of a training part has the features 'x'"):
        source(features(60, 12), present)


def test_models_get_the_width_of_the_smallest_rank() -> None:
    x = toy_inputs(dim=4).features["eye"].clone()
    x[:40, 2:] = x[:40, :2]
    given = source(x[:60])
    assert given.widths == {"x": 2}
    assert given.batch(torch.tensor([0, 1]), torch.zeros(2, 3, dtype=torch.long))["x"].shape == (2, 3, 2)
