"""``expunge certificate``: what people and machines are told, and exit codes."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from expunge.cli import main
from tests.release.made_release import Release, make_release


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A release of a folder that is no model; nothing here loads it."""
    root = tmp_path_factory.mktemp("release")
    (root / "folder").mkdir()
    (root / "folder" / "model_index.json").write_text("{}")
    return make_release(root, root / "folder")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["certificate", *map(str, arguments)], env={"COLUMNS": "200"})


def test_a_valid_one_is_a_table_and_exit_code_0(made: Release) -> None:
    done = run("verify", made.certificate, "--key", made.key, "--model", made.model)
    assert done.exit_code == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    checks = ["format", "digest", "signature", "gate", "chain", "withdrawn", "model"]
    assert [line.split()[0] for line in lines] == ["check", *checks]
    assert all(line.split()[1] == "ok" for line in lines[1:])


def test_machines_get_json_alone(made: Release) -> None:
    done = run("verify", made.certificate, "--key", made.key, "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 0 and told["valid"] is True
    assert [each["result"] for each in told["checks"]] == ["ok"] * 6 + ["not checked"]


def test_an_invalid_one_is_exit_code_2_with_what_failed_named(made: Release, tmp_path: Path) -> None:
    model = Path(shutil.copytree(made.model, tmp_path / "model"))
    (model / "more.txt").write_text("")
    done = run("verify", made.certificate, "--key", made.key, "--model", model)
    assert done.exit_code == 2 and "not signed: more.txt" in done.stdout
    assert done.stderr == "Error: certificate certificate-cat-object.json is not valid: model failed\n"
    told = run("verify", made.certificate, "--key", made.key, "--model", model, "--json")
    assert told.exit_code == 2 and json.loads(told.stdout)["valid"] is False


def test_what_is_no_file_or_no_key_is_one_line(made: Release, tmp_path: Path) -> None:
    gone = run("verify", tmp_path / "gone.json")
    assert (gone.exit_code, gone.stdout) == (2, "") and gone.stderr.startswith("Error: certificate: there is no file ")
    keyless = run("verify", made.certificate, "--key", made.certificate)
    assert keyless.exit_code == 2 and "is no public key in PEM" in keyless.stdout


def test_export_prints_the_statement(made: Release, tmp_path: Path) -> None:
    done = run("export", made.certificate, "--format", "dsa")
    assert done.exit_code == 0 and json.loads(done.stdout)["decision_ground"] == "DECISION_GROUND_INCOMPATIBLE_CONTENT"
    changed = tmp_path / "certificate.json"
    changed.write_text(made.certificate.read_text().replace("cat", "dog", 1))
    for file, words in ((changed, "was changed"), (tmp_path / "gone.json", "there is no file")):
        refused = run("export", file, "--format", "dsa")
        assert refused.exit_code == 2 and refused.stdout == "" and words in refused.stderr
    assert run("export", made.certificate, "--format", "pdf").exit_code == 2
