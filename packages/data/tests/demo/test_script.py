import csv
import io
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import ValidationError

from blended.data import Mixture
from blended.data.demo.config import TINY, DemoConfig
from blended.data.demo.script import COLUMNS, table, takes

REAL_HEADER = (
    "filename,video_id,mix,emotion_1,emotion_2,emotion_1_salience,emotion_2_salience,"
    "version,situation,intensity_level,fold"
)


def rows_of(split: str, config: DemoConfig) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table(take for take in takes(config) if take.split == split))))


def test_complete_corpus_has_the_counts_of_blemore() -> None:
    planned = takes(DemoConfig())
    assert len(planned) == 24 * 54
    assert len({take.stem for take in planned}) == len(planned)
    per_actor = Counter(take.actor for take in planned)
    assert set(per_actor.values()) == {54}
    one = [take for take in planned if take.actor == "A101"]
    assert Counter(take.mixture.is_blend for take in one) == {False: 24, True: 30}
    assert len({take.mixture for take in one}) == 36
    assert len({take.mixture.emotions for take in one}) == 16
    assert sorted(take.level for take in one if take.mixture == Mixture.single("fea")) == [1, 2, 3, 4]


def test_rows_look_like_those_of_blemore() -> None:
    assert ",".join(COLUMNS) == REAL_HEADER
    lines = table(takes(DemoConfig())).splitlines()
    assert lines[0] == REAL_HEADER
    fold = lines[1].rsplit(",", 1)[1]
    assert f"A101_ang_int1_ver1,A101,0,ang,,,,1,,1,{fold}" in lines
    assert f"A101_neu_sit2_ver1,A101,0,neu,,,,1,2,,{fold}" in lines
    assert f"A101_mix_ang_disg_30_70_ver1,A101,1,ang,disg,30,70,1,,,{fold}" in lines


def test_folds_are_even_and_no_actor_is_in_two() -> None:
    rows = rows_of("train", DemoConfig())
    folds = {
        row["video_id"]: {other["fold"] for other in rows if other["video_id"] == row["video_id"]}
        for row in rows
    }
    assert all(len(found) == 1 for found in folds.values())
    assert Counter(next(iter(found)) for found in folds.values()) == {str(fold): 4 for fold in range(5)}


def test_test_partition_has_other_actors_no_folds_and_names_that_tell_nothing() -> None:
    train, test = rows_of("train", DemoConfig()), rows_of("test", DemoConfig())
    assert [row["filename"] for row in test] == [f"test_{number:04d}" for number in range(1, 217)]
    assert not {row["video_id"] for row in train} & {row["video_id"] for row in test}
    assert {row["fold"] for row in test} == {""}
    # Neither actors nor labels come in runs: neighbours in the list agree about as often as by chance.
    same_actor = sum(a["video_id"] == b["video_id"] for a, b in pairwise(test)) / len(test)
    assert same_actor < 0.4


@pytest.mark.parametrize("clips_per_actor", [16, 18, 37])
def test_a_part_of_the_clips_still_has_every_emotion_set_of_every_actor(clips_per_actor: int) -> None:
    config = TINY.model_copy(update={"clips_per_actor": clips_per_actor})
    planned = takes(config)
    assert len(planned) == 6 * clips_per_actor
    for actor in {take.actor for take in planned}:
        assert len({take.mixture.emotions for take in planned if take.actor == actor}) == 16
    assert {take.fold for take in planned if take.split == "train"} == {0, 1, 2, 3, 4}


def test_tiny_shows_all_levels_and_shares_in_the_training_partition() -> None:
    train = [take for take in takes(TINY) if take.split == "train"]
    assert {take.level for take in train} == {0, 1, 2, 3, 4}
    assert len({take.mixture for take in train if take.mixture.is_blend}) == 30


def test_the_order_of_folds_and_test_clips_follows_the_seed() -> None:
    assert takes(DemoConfig()) == takes(DemoConfig())
    assert takes(DemoConfig()) != takes(DemoConfig(seed=1))


def test_config_refuses_what_it_does_not_know_and_what_cannot_be() -> None:
    with pytest.raises(ValidationError, match="frames_px"):
        DemoConfig.model_validate({"frames_px": 100})
    with pytest.raises(ValidationError, match="5 actor-disjoint folds need at least as many training actors"):
        DemoConfig(num_train_actors=4)
    with pytest.raises(ValidationError, match="min_seconds=2 is above max_seconds=1"):
        DemoConfig(min_seconds=2, max_seconds=1)


def test_stems_are_file_names() -> None:
    assert all(
        Path(take.path).stem == take.stem and Path(take.path).parts[0] == take.split for take in takes(TINY)
    )
