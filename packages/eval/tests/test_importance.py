"""What fusion weighs, drawn and tabled."""

import numpy as np
import pytest

from blended.eval.estimate import Estimate
from blended.eval.figures import (
    NARROW_INCHES,
    WIDE_INCHES,
    attention_figure,
    encoder_weights_figure,
    gates_figure,
    png,
)
from blended.eval.figures.importance import largest
from blended.eval.report.detail_tables import predictors_table, shown_weights, weight_figures, weight_tables
from blended.eval.report.formats import to_csv
from blended.eval.run_record import ALL, Attention, Weights

WIDTHS = pytest.mark.parametrize("width", [WIDE_INCHES, NARROW_INCHES])
LAGS = (-0.2, -0.1, 0.0, 0.1, 0.2)
ATTENTION = tuple(
    Attention(
        asking, answering, 1, LAGS, ((3.0, 1.0, 0.5, 0.2, 0.3), (0.2, 0.5, 1.0, 2.0, 1.3)), (0.1, 0.2),
        "clip7", (0.1, 0.2, 0.3), (0.1, 0.2), ((0.5, 0.5), (0.9, 0.1), (0.2, 0.8)),
    )
    for asking, answering in (("audio", "video"), ("video", "audio"))
)  # fmt: skip
SHARES = {
    "voice": {"fold0": 0.7, "fold1": 0.9, "final": 0.8},
    "face": {"fold0": 0.3, "fold1": 0.1, "final": 0.2},
}
GATES = {"face": {"ang": 0.25, "hap": 0.6}, "voice": {"ang": 0.75, "hap": 0.4}}


@WIDTHS
def test_gates_are_percent_in_cells(width: float) -> None:
    figure = gates_figure(GATES, width_inches=width)
    assert [text.get_text() for text in figure.axes[0].texts] == ["25", "75", "60", "40"]
    assert png(figure).startswith(b"\x89PNG")


@WIDTHS
def test_weights_of_folds_and_of_the_final_model_are_marked(width: float) -> None:
    figure = encoder_weights_figure(SHARES, width_inches=width)
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["voice", "face"]
    marked = [
        np.asarray(line.get_xdata()).round(6).tolist() for line in axes.lines if line.get_marker() in "oD"
    ]
    assert marked == [[70, 90], [80], [30, 10], [20]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a fold", "the final model"]


@WIDTHS
@pytest.mark.parametrize("heads", [1, 2])
def test_attention_has_the_mean_of_heads_every_head_and_one_clip(width: float, heads: int) -> None:
    few = [
        Attention(a.asking, a.answering, 1, LAGS, a.preference[:heads], a.nothing[:heads]) for a in ATTENTION
    ]
    figure = attention_figure(ATTENTION if heads == 2 else few, width_inches=width)
    assert [str(part.get_suptitle()) for part in figure.subfigs] == [
        "audio attends to video, layer 1", "video attends to audio, layer 1",
    ]  # fmt: skip
    mean = np.asarray(figure.subfigs[0].axes[0].lines[-1].get_ydata(), dtype=float)
    expected = np.mean(ATTENTION[0].preference[:heads], axis=0)
    np.testing.assert_allclose(mean, expected)
    assert png(figure).startswith(b"\x89PNG")


def test_of_every_kind_the_highest_run_that_has_it() -> None:
    given = {"second": Weights(shares=SHARES), "third": Weights(gates=GATES, shares={"x": {"fold0": 1.0}})}
    found = shown_weights(["first", "second", "third"], given)
    assert found.runs == {"encoder_weights": "second", "gates": "third"} and found.weights.shares == SHARES
    assert set(weight_figures(found.weights)) == {"encoder_weights", "gates"}
    assert weight_figures(None) == {}
    tables = {table.name: to_csv(table).splitlines() for table in weight_tables(found)}
    assert tables["encoder_weights"][1].startswith("voice,0.7") and tables["gates"][2].startswith("hap,0.6")
    heads = weight_tables(shown_weights(["a"], {"a": Weights(attention=ATTENTION)}))[0]
    assert [row[3:6] for row in heads.rows[:2]] == [("1", -0.2, 3.0), ("2", 0.1, 2.0)]


def test_predictors_are_tabled_with_the_pair_that_they_matter_most_for() -> None:
    drop = Estimate(0.05, 0.01, 0.09)
    predictors = {
        name: {ALL: Estimate(value, 0.0, 1.0), "ang+hap": drop, "fea+sad": 0.2 * value}
        for name, value in (("small", 0.01), ("large", 0.5), ("middle", 0.1))
    }
    assert list(largest(predictors, 2)) == ["large", "middle"]
    table = predictors_table("run", predictors)
    assert [row[2] for row in table.rows] == ["ang+hap", "fea+sad", "ang+hap"]
    assert [column.name for column in table.columns if column.long] == ["ang+hap", "fea+sad"]
