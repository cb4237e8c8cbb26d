"""A rendered corpus read back: who is seen in a test clip is known, what is acted is not."""

from pathlib import Path

from blended.data.corpora import demo, read_corpus
from blended.data.demo.config import DemoConfig
from blended.data.demo.render import render

SMALL = DemoConfig(
    num_train_actors=1,
    num_test_actors=2,
    num_folds=1,
    clips_per_actor=16,
    min_seconds=0.4,
    max_seconds=0.4,
    frame_px=64,
)


def test_test_clips_have_actors_but_no_labels(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    render(SMALL, folder, workers=1, log=lambda _: None)
    test = read_corpus("demo", folder).test
    assert len(test) == 32
    assert {clip.actor for clip in test} == {"A201", "A202"}
    assert all(clip.mixture is None for clip in test)
    assert len({mixture.emotions for mixture in demo.test_truth(folder).values()}) == 16
    assert "emotion" not in (folder / demo.ACTORS).read_text()
