"""The numbers of a sequence, in tables and as a picture."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from expunge.benchmark.sequence_chart import ua_matrix
from expunge.benchmark.sequence_table import as_frame, as_markdown, came_back, since_own_round, write_sequence


def with_verdicts(done, **absent):
    """A round whose classifier said otherwise, by target."""
    changed = {
        name: done.verdicts[name].model_copy(update={"absent": found, "texts": tuple(map(str, range(len(found))))})
        for name, found in absent.items()
    }
    return done.model_copy(update={"verdicts": done.verdicts | changed})


def test_every_number_of_every_round_is_a_row(rounds):
    frame = as_frame(rounds)
    assert list(frame["round"].unique()) == [0, 1, 2, 3]
    first = rounds[0].evaluation
    measured = len(first.rest) + sum(len(each.numbers) for each in first.targets)
    assert (frame.groupby("round").size() == measured).all() and measured >= 2 * 3 + 4
    ua = frame[frame["quantity"] == "UA"].set_index(["round", "of"])
    for done in rounds:
        for scores in done.evaluation.targets:
            row = ua.loc[(done.number, scores.name)]
            after, change = (
                scores.numbers["unlearning_accuracy"].after,
                scores.numbers["unlearning_accuracy"].difference,
            )
            assert (row["value"], row["low"], row["high"], row["change_value"]) == (
                after.value, after.low, after.high, change.value
            )  # fmt: skip
    gone = [set(frame[frame["forgotten"] & (frame["round"] == number)]["of"]) for number in range(4)]
    assert gone == [set(), {"cat"}, {"cat", "blob"}, {"cat", "blob", "apple"}]
    assert all(first < second for first, second in pairwise(gone))


def test_the_heat_map_begins_with_the_original(rounds):
    shares = ua_matrix(rounds)
    assert shares.shape == (4, 3) and ((shares >= 0) & (shares <= 1)).all()
    assert shares[0].tolist() == [
        each.numbers["unlearning_accuracy"].before.value for each in rounds[2].evaluation.targets
    ]


def test_a_return_is_told_and_a_tie_is_not(rounds):
    gone, back = (True,) * 30, (False,) * 30
    first = with_verdicts(rounds[0], cat=gone)
    same = with_verdicts(rounds[2], cat=gone, blob=rounds[1].verdicts["blob"].absent)
    assert since_own_round([first], same).difference.value == 0
    assert came_back([first, rounds[1], same])[1].startswith("Of no single target")
    worse = with_verdicts(same, cat=back)
    change = since_own_round([first], worse)
    assert (change.before.value, change.after.value) == (1, 0) and change.difference.high < 0
    assert came_back([first, rounds[1], worse])[1].startswith("Came back: “cat” (−100.0")
    assert came_back(rounds[:1]) == []


def test_markdown_marks_what_is_forgotten(rounds):
    text = as_markdown(rounds)
    table = text.split("## UA of every target after every round")[1].split("##")[0]
    counts = [line.count("**") // 2 for line in table.splitlines() if line.startswith("| ")]
    assert counts == [0, 0, 0, 1, 2, 3]  # head, rule, original, three rounds
    assert "| cat |" in text and "FD on colour-clip" in text


@pytest.mark.parametrize("count", [1, 3])
def test_everything_is_written(rounds, tmp_path, count):
    text = write_sequence(rounds[:count], tmp_path / "new" / "sequence.md", {"command": "a command"})
    assert (tmp_path / "new" / "sequence.md").read_text() == text
    assert text.startswith(f"# {count} of 3 takedowns")
    assert "- command: a command" in text and "(sequence.png)" in text
    picture = np.asarray(Image.open(tmp_path / "new" / "sequence.png").convert("RGB"))
    assert picture.shape[1] > 1000 and picture.std() > 20
    frame = pd.read_parquet(tmp_path / "new" / "sequence.parquet")
    pd.testing.assert_frame_equal(frame, as_frame(rounds[:count]))
