"""What figures show, not how their pixels fall."""

import itertools
import random
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from blended.data import InputError, LabelSpace, Mixture
from blended.data.corpora.blemore import SPACE
from blended.eval.comparison import standings
from blended.eval.evaluation import measure
from blended.eval.evidence import Evidence
from blended.eval.figures import (
    NARROW_INCHES,
    WIDE_INCHES,
    actor_results,
    actors_figure,
    confusion_figure,
    count_confusion,
    forest_figure,
    kinship_order,
    pair_points,
    pair_results,
    pairs_figure,
    png,
    reliability_figure,
    save,
    shares_figure,
    svg,
    target_shares,
    ternary_figure,
    two_readings,
)
from blended.eval.figures.pairs import HEIGHT, on_plane
from blended.eval.measures.blends import correctness
from blended.eval.protocol import Protocol
from blended.eval.run_record import RunRecord

STATES = list(SPACE.states)
TRUTH = STATES * 10
NUM = len(TRUTH)
ACTORS = np.array([f"A{row // 36}" for row in range(NUM)])
FOLDS = np.array([row // 36 % 5 for row in range(NUM)], dtype=np.int64)


def evidence_of(actors: np.ndarray, folds: np.ndarray) -> Evidence:
    """Of clips whose scores do not matter."""
    numbers = np.unique(actors, return_inverse=True)[1]
    return Evidence(np.zeros((len(actors), 1, len(SPACE.emotions))), numbers, folds, SPACE)


def make_run(name: str, skill: float, modalities: tuple[str, ...] = ("audio",)) -> RunRecord:
    rng = random.Random(name)
    decided = [true if rng.random() < skill else rng.choice(STATES) for true in TRUTH]
    evaluation = measure(evidence_of(ACTORS, FOLDS), TRUTH, decided, Protocol("thresholds"))
    ids = tuple(f"clip_{row}" for row in range(NUM))
    return RunRecord(name, "linear", ("logmel",), modalities, TRUTH, ids, ACTORS, FOLDS, evaluation)


@pytest.fixture(scope="module")
def run() -> RunRecord:
    return make_run("run", 0.5)


def test_kinship_order_has_every_set_once_and_relatives_side_by_side() -> None:
    order = kinship_order(SPACE)
    assert len(order) == 16
    assert set(order) == set(SPACE.emotion_sets)
    assert [len(emotions) for emotions in order] == [1] * 6 + [2] * 10
    pairs = order[6:]
    assert all(one & other for one, other in itertools.pairwise(pairs))


def test_confusion_rates_add_up_and_count_what_loops_count(run: RunRecord) -> None:
    confusion = count_confusion(TRUTH, run.of_mixtures()[1], SPACE)
    assert confusion.rates.sum(axis=1) == pytest.approx(np.ones(16))
    assert confusion.columns == confusion.rows
    for (row, true), (column, decided) in itertools.product(
        enumerate(kinship_order(SPACE)), enumerate(kinship_order(SPACE))
    ):
        pairs = zip(TRUTH, run.cross_fold.decided, strict=True)
        assert confusion.counts[row, column] == sum(
            t.emotions == true and d.emotions == decided for t, d in pairs
        )


def test_a_set_outside_the_space_has_a_column_of_its_own() -> None:
    odd = Mixture({"ang": 50, "neu": 50})
    confusion = count_confusion([STATES[0], STATES[1]], [odd, STATES[1]], SPACE)
    assert confusion.columns[-1] == "other"
    assert confusion.counts[0, -1] == 1
    assert confusion.rates.sum(axis=1)[[0, 1, 2]].tolist() == [1, 1, 0]


def test_a_space_without_blends_has_no_pairs(run: RunRecord) -> None:
    space = LabelSpace(("ang", "hap"), "single")
    assert kinship_order(space) == [frozenset({"ang"}), frozenset({"hap"})]
    assert pair_results(run, space) == []


def test_pairs_count_their_clips(run: RunRecord) -> None:
    found = pair_results(run, SPACE)
    assert len(found) == 10
    decided = run.cross_fold.decided
    for pair in found:
        both = frozenset((pair.first, pair.second))
        rows = [row for row in range(NUM) if TRUTH[row].emotions == both]
        assert pair.num_clips == len(rows) == pair.counts.sum()
        assert pair.rates.sum(axis=1) == pytest.approx(np.ones(3))
        assert pair.shares == (30, 50, 70)
        assert pair.counts[:, :3].diagonal().sum() == sum(TRUTH[row] == decided[row] for row in rows)
        assert pair.counts[:, :3].sum() == sum(TRUTH[row].emotions == decided[row].emotions for row in rows)
        # Folds are equally large here, so the mean over folds is the mean over clips.
        right = np.mean([TRUTH[row].emotions == decided[row].emotions for row in rows])
        assert pair.presence.value == pytest.approx(right)
        low, high = pair.salience.ends or (1, 1)
        assert low <= pair.salience.value <= high


def test_shares_off_the_grid_are_anything_else() -> None:
    truth = [Mixture({"ang": 70, "hap": 30}), Mixture({"ang": 50, "hap": 50})]
    decided = [Mixture({"ang": 60, "hap": 40}), Mixture({"ang": 50, "hap": 50})]
    actors, folds = np.array(["A1", "A2"]), np.array([0, 1])
    evaluation = measure(evidence_of(actors, folds), truth, decided, Protocol("thresholds"))
    record = RunRecord("two", "linear", (), ("audio",), truth, ("a", "b"), actors, folds, evaluation)
    (pair,) = pair_results(record, SPACE)
    assert pair.counts.tolist() == [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]


def test_actors_are_all_there(run: RunRecord) -> None:
    results = actor_results(run)
    assert sorted(one.actor for one in results) == sorted(set(ACTORS.tolist()))
    for one in results:
        right = correctness(*run.of_mixtures()).presence[one.actor == ACTORS]
        assert one.presence_accuracy == pytest.approx(right.mean())
        assert one.num_clips == 36


def test_forest_names_runs_and_fills_only_what_may_be_best() -> None:
    runs = [
        make_run("good", 0.7, ("audio", "video")),
        make_run("bad", 0.1, ("video",)),
        make_run("null", 0.0, ()),
    ]
    table = standings(runs)
    figure = forest_figure(
        table.runs, table.baselines, {one.name for one in table.tied}, ceilings={"oracle": 0.99}
    )
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["bad", "good"]
    lines = [line for line in axes.lines if line.get_marker() in ("D", "s")]
    marks = {float(np.asarray(line.get_ydata())[0]): line for line in lines}
    assert marks[1].get_markerfacecolor() == marks[1].get_color()
    assert marks[0].get_markerfacecolor() == "#ffffff"
    texts = [text.get_text() for text in axes.texts]
    assert any(text.startswith("oracle 0.990") for text in texts)
    assert any(text.startswith("null ") for text in texts)


def test_bytes_are_the_same_each_time_and_settings_are_left_alone(run: RunRecord, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    draw = [actors_figure(run, width_inches=width) for width in (WIDE_INCHES, WIDE_INCHES, NARROW_INCHES)]
    assert png(draw[0]) == png(draw[1]) != png(draw[2])
    assert svg(draw[0]) == svg(draw[1])
    assert b"<dc:date>" not in svg(draw[0])
    save(draw[0], tmp_path / "actors.png")
    assert (tmp_path / "actors.png").read_bytes() == png(draw[0])
    assert dict(mpl.rcParams) == before
    with pytest.raises(InputError, match=r"cannot write a figure as 'actors.gif': name it .png or .svg"):
        save(draw[0], tmp_path / "actors.gif")


@pytest.mark.parametrize("width_inches", [WIDE_INCHES, NARROW_INCHES])
def test_labels_of_the_matrices(run: RunRecord, width_inches: float) -> None:
    confusion = count_confusion(TRUTH, run.of_mixtures()[1], SPACE)
    axes = confusion_figure(confusion, width_inches=width_inches).axes[0]
    assert tuple(label.get_text() for label in axes.get_yticklabels()) == confusion.rows
    assert tuple(label.get_text() for label in axes.get_xticklabels()) == confusion.columns
    pairs = pair_results(run, SPACE)
    small = shares_figure(pairs, width_inches=width_inches)
    assert isinstance(small, Figure)
    titles = [axes.get_title() for axes in small.axes]
    assert titles == [f"{pair.first} / {pair.second}" for pair in pairs]
    named = [
        label.get_text() for label in pairs_figure(pairs, width_inches=width_inches).axes[0].get_yticklabels()
    ]
    assert sorted(named) == sorted(pair.name for pair in pairs)


def made_up_probabilities() -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(len(SPACE.emotions)), NUM)


def test_target_shares_are_the_truth() -> None:
    targets = target_shares(TRUTH, SPACE)
    for row, column in itertools.product(range(40), range(len(SPACE.emotions))):
        wanted = dict(TRUTH[row].shares).get(SPACE.emotions[column], 0.0) / 100
        assert targets[row, column] == pytest.approx(wanted)


def test_right_probabilities_are_reliable_as_shares_and_too_small_as_presence() -> None:
    found = two_readings(TRUTH, target_shares(TRUTH, SPACE), SPACE)
    assert found.shares.error == pytest.approx(0)
    # 30 blends of 36 states are off by what the other emotion has: 100 percent per blend, of 6 emotions.
    assert found.presence.error == pytest.approx(30 / 36 / 6)


def test_places_on_the_triangle() -> None:
    corners = on_plane(np.eye(3))
    assert corners.tolist() == [[0, 0], [1, 0], [0.5, HEIGHT]]
    points = pair_points(TRUTH, target_shares(TRUTH, SPACE), SPACE)
    assert len(points) == 10
    for pair in points:
        assert pair.places[:, 0] == pytest.approx(pair.shares / 100)
        assert pair.places[:, 2] == pytest.approx(0)
    for pair in pair_points(TRUTH, made_up_probabilities(), SPACE):
        assert pair.places.sum(axis=1) == pytest.approx(np.ones(len(pair.places)))


@pytest.mark.parametrize("width_inches", [WIDE_INCHES, NARROW_INCHES])
def test_figures_of_probabilities_name_what_they_show(width_inches: float) -> None:
    probabilities = made_up_probabilities()
    points = pair_points(TRUTH, probabilities, SPACE)
    first, second = (ternary_figure(points, width_inches=width_inches) for _ in range(2))
    assert png(first) == png(second)
    drawn = [axes for axes in first.axes if axes.texts]
    corners = [[text.get_text() for text in axes.texts] for axes in drawn]
    assert corners == [[pair.first, pair.second, "others"] for pair in points]
    found = two_readings(TRUTH, probabilities, SPACE)
    figure = reliability_figure(found, width_inches=width_inches)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:2]]
    assert [title.split("error ")[1] for title in titles] == [
        f"{one.error:.3f}" for one in (found.presence, found.shares)
    ]
