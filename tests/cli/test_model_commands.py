"""``champion``, ``draw`` and ``report`` against a real registry with two tiny models."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from expunge.cli import main
from expunge.cli.draw import side_by_side
from expunge.release.registry import Evidence, Registry
from tests.tiny import make_tiny_pipeline


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store's file. Making its tables takes seconds, so it is made once and copied."""
    database = tmp_path_factory.mktemp("registry") / "mlflow.db"
    Registry(f"sqlite:///{database}")
    return database


@pytest.fixture(scope="module")
def filled(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with two versions, the second one champion, and a report with each."""
    folder = tmp_path_factory.mktemp("filled")
    store = f"sqlite:///{shutil.copy(blank, folder)}"
    registry = Registry(store)
    for seed in (0, 1):
        model = make_tiny_pipeline(folder / f"model-{seed}", seed=seed)
        page = folder / f"report-{seed}" / "report.html"
        page.parent.mkdir()
        page.write_text(f"<p>report {seed}</p>")
        tags = {"base_version": str(seed or ""), "requests": f"object-{seed}"}
        version = registry.register(model, f"{seed}" * 64, Evidence("run", tags, files={"report": page}))
        registry.call_champion(version.version, version.version - 1 or None)
        shutil.rmtree(page.parent)
    return store


@pytest.fixture
def store(filled: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", filled)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return filled


@pytest.fixture
def empty_store(blank: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shutil.copy(blank, tmp_path)}")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


def expunge(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_champion(store: str) -> None:
    shown = expunge("champion").stdout
    assert "Champion: expunge-zoo version 2" in shown and "former-champion" in shown and "– now" in shown
    facts = json.loads(expunge("champion", "--json").stdout)
    assert facts["champion"]["version"] == 2 and [each["version"] for each in facts["history"]] == [2, 1]


def test_nothing_registered_yet(empty_store: None) -> None:
    result = expunge("champion")
    assert result.exit_code == 0 and "No version of expunge-zoo has been promoted yet" in result.stdout
    assert json.loads(expunge("champion", "--json").stdout) == {
        "champion": None,
        "covers": [],
        "history": [],
        "log": [],
    }
    result = expunge("report")
    assert result.exit_code == 2 and "there is no report yet" in result.stderr


def test_draw_puts_two_versions_side_by_side(store: str, tmp_path: Path) -> None:
    out = tmp_path / "pair.png"
    options = [
        "--with",
        "2",
        "--against",
        "former-champion",
        "--out",
        str(out),
        "--steps",
        "2",
        "--count",
        "2",
    ]
    result = expunge("draw", "a cat in noto style", *options, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["seeds"] == [0, 1]
    with Image.open(out) as picture:
        assert picture.format == "PNG" and picture.size == (8 + 2 * 264, 28 + 2 * 264)
        pixels = np.asarray(picture.convert("RGB"))
    left, right = pixels[28:284, 8:264], pixels[28:284, 272:528]
    assert not np.array_equal(left, right)


def test_draw_with_the_same_version_twice_is_the_same_picture(store: str, tmp_path: Path) -> None:
    result = expunge(*["draw", "a cat", "--with", "1", "--against", "1", "--out", "same.png", "--steps", "1"])
    assert result.exit_code == 0 and "Wrote same.png" in result.stdout
    with Image.open(tmp_path / "same.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert np.array_equal(pixels[28:284, 8:264], pixels[28:284, 272:528])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--with", "7", "--out", "a.png"], "has no version '7'"),
        (["--with", "./nowhere", "--out", "a.png"], "'./nowhere' is not there"),
        (["--with", "1", "--device", "abacus", "--out", "a.png"], "device: 'abacus' cannot be used"),
        (["--with", "models:/expunge-zoo", "--out", "a.png"], "write models:/NAME@ALIAS or models:/NAME/VERSION"),
        (["--with", "s3://", "--out", "a.png"], "--with: "),
        (["--with", "9" * 20, "--out", "a.png"], f"'{'9' * 20}'"),
        (["--with", "a" * 300, "--out", "a.png"], "give a shorter path"),
        (["--out", "a.jpg"], "--out: got 'a.jpg'; give a file that ends in .png"),
        (
            ["--with", "1", "--against", "1", "--steps", "1", "--out", "no/a.png"],
            "there is no folder 'no'; make it first",
        ),
    ],
)
def test_draw_explains(store: str, options: list[str], message: str) -> None:
    result = expunge("draw", "a cat", *options)
    assert result.exit_code == 2 and message in result.stderr and result.stderr.count("\n") == 1


def test_draw_takes_a_folder_and_a_registered_model_by_its_address(
    store: str, tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "mymodel").symlink_to(tiny_folder)
    words = ["draw", "a cat", "--with", "mymodel", "--against", "models:/expunge-zoo@champion", "--steps", "1"]
    result = expunge(*words, "--device", "cpu", "--out", "pair.png")
    assert result.exit_code == 0, result.stderr
    assert "Wrote pair.png: mymodel on the left, models:/expunge-zoo@champion on the right." in result.stdout
    with Image.open(tmp_path / "pair.png") as picture:
        assert picture.size == (8 + 2 * 264, 28 + 264)


def test_report_is_the_latest(store: str) -> None:
    path = Path(expunge("report").stdout.strip())
    assert path.read_text() == "<p>report 1</p>"
    assert json.loads(expunge("report", "--json").stdout) == {"report": str(path)}


def test_sheet_with_pictures_of_two_sizes() -> None:
    small, large = np.zeros((1, 32, 32, 3), np.uint8), np.full((1, 64, 64, 3), 200, np.uint8)
    sheet = np.asarray(side_by_side([small, large], ["a", "b"]))
    assert sheet.shape == (28 + 264, 8 + 2 * 264, 3)
    assert (sheet[28:284, 8:264] == 0).all() and (sheet[28:284, 272:528] == 200).all()


@pytest.fixture
def own_store(filled: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A copy of the filled store, to be changed."""
    shutil.copytree(Path(filled.removeprefix("sqlite:///")).parent, tmp_path / "store")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store/mlflow.db")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


def test_a_roll_back_asks_before_it_acts(own_store: None) -> None:
    refused = CliRunner().invoke(main, ["roll-back", "--reason", "it draws no dogs"], input="n\n")
    assert refused.exit_code == 2 and "nothing was rolled back" in refused.stderr
    assert "Version 1 becomes champion again, in place of version 2." in refused.stdout
    assert "certificates withdrawn: object-1" in refused.stdout
    assert json.loads(expunge("champion", "--json").stdout)["champion"]["version"] == 2
    done = CliRunner().invoke(main, ["roll-back", "--reason", "it draws no dogs"], input="y\n")
    assert done.exit_code == 0 and "Champion: expunge-zoo version 1" in done.stdout
    facts = json.loads(expunge("champion", "--json").stdout)
    assert facts["champion"]["version"] == 1 and facts["covers"] == ["object-0"]
    assert facts["log"][-1]["reason"] == "it draws no dogs" and "@" in facts["log"][-1]["by"]
    again = expunge("roll-back", "--reason", "more", "--yes")
    assert again.exit_code == 2 and "there is no former champion to go back to" in again.stderr


def test_for_a_machine_a_roll_back_wants_to_be_sure(own_store: None) -> None:
    assert "say --yes" in expunge("roll-back", "--reason", "x", "--json").stderr
    told = json.loads(expunge("roll-back", "--reason", "x", "--json", "--yes").stdout)
    assert told == {"champion": 1, "reopened": ["object-1"], "withdrawn": ["object-1"]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["approve", "2", "--reason", "x"], "version: 2 waits for no approval: it was overtaken,"),
        (["approve", "2", "--reason", " "], "--reason and --name: are empty"),
        (["roll-back", "--reason", " ", "--yes"], "reason: is empty"),
        (["champion", "--model", "a/b"], "--model: 'a/b' given"),
    ],
)
def test_what_cannot_be_approved_or_rolled_back(own_store: None, words: list[str], message: str) -> None:
    result = expunge(*words)
    assert result.exit_code == 2 and message in result.stderr and result.stderr.count("\n") == 1
