"""The model card: read back by the Hub's own library, complete, and without what is nobody's business."""

import math

import pytest
from huggingface_hub import ModelCard

from expunge.evaluation.evaluation import TargetScores
from expunge.release.base_model import BaseModelFacts
from expunge.release.certificate import STATEMENT
from expunge.release.model_card import write_model_card
from tests.release.made_release import judged_findings
from tests.reports.made_facts import change


def based_on(source: str):
    return judged_findings(base=BaseModelFacts(source=source, version=None, digest="3f" * 32))


def test_the_hubs_library_reads_it(tmp_path):
    findings = judged_findings()
    card = ModelCard.load(write_model_card(tmp_path, findings, "expunge-zoo"))
    assert (tmp_path / "README.md").is_file()
    data = card.data
    assert (data.model_name, data.library_name, data.pipeline_tag) == ("expunge-zoo", "diffusers", "text-to-image")
    assert data.license == "other" and data.base_model is None
    found = {(each.dataset_config, each.metric_type): each for each in data.eval_results}
    numbers = findings.evaluation.targets[1].numbers
    measured = found["cat-object", "unlearning_accuracy"]
    assert measured.metric_value == numbers["unlearning_accuracy"].after.value
    assert measured.metric_args["before"] == numbers["unlearning_accuracy"].before.value
    assert measured.dataset_revision == findings.lineage.hashes.world
    assert len(found) == sum(len(each.numbers) for each in findings.evaluation.targets) + len(findings.evaluation.rest)


def test_it_says_what_was_forgotten_how_well_and_what_it_cannot_promise(tmp_path):
    findings = judged_findings()
    text = write_model_card(tmp_path, findings, "expunge-zoo").read_text()
    for said in ("style “blob”", "object “cat”", "97.8 %", "94.1 %", STATEMENT, "It passed the gate.", "`zoo`",
                 "restricted_gradient", findings.lineage.hashes.unlearned_model, "licence of the model"):  # fmt: skip
        assert said in text
    assert "What earlier runs forgot" not in text and "rights desk" not in text and "The artist asked" not in text
    refused = write_model_card(tmp_path, judged_findings(drop_at_most=0.01), "expunge-zoo").read_text()
    assert "It did not pass the gate: do not use it." in refused and "It passed" not in refused


def test_earlier_targets_are_named_and_undefined_numbers_are_no_result(tmp_path):
    findings = judged_findings()
    earlier = TargetScores(
        request_id="dog", name="dog", kind="object", numbers={"unlearning_accuracy": change(0.9, 0.95, 0.02, 96)}
    )
    nothing = change(math.nan, math.nan, math.nan, 0)
    evaluation = findings.evaluation.model_copy(
        update={"earlier": (earlier,), "rest": findings.evaluation.rest | {"recall": nothing}}
    )
    card = ModelCard.load(write_model_card(tmp_path, findings.model_copy(update={"evaluation": evaluation}), "m"))
    assert "object “dog”" in card.text and "not measured" in card.text
    named = {(each.dataset_config, each.metric_type) for each in card.data.eval_results}
    assert ("dog", "unlearning_accuracy") in named and ("rest", "recall") not in named


@pytest.mark.parametrize(
    ("source", "told", "base_model"),
    [
        ("/home/somebody/secret/model", "`model`", None),
        ("./secret/model", "`model`", None),
        ("owner/name", "`owner/name`", "owner/name"),
        ("models:/expunge-zoo/3", "`models:/expunge-zoo/3`", None),
    ],
)
def test_a_base_on_this_machine_is_named_without_its_path(source, told, base_model, tmp_path):
    card = ModelCard.load(write_model_card(tmp_path, based_on(source), "m"))
    assert told in card.text and "secret" not in card.content and card.data.base_model == base_model


def test_names_cannot_break_the_table(tmp_path):
    findings = judged_findings()
    evil = findings.evaluation.targets[0].model_copy(update={"name": "a | b <img>"})
    evaluation = findings.evaluation.model_copy(update={"targets": (evil,)})
    text = write_model_card(tmp_path, findings.model_copy(update={"evaluation": evaluation}), "m").read_text()
    body = text.split("---\n", 2)[2]
    assert "a \\| b &lt;img>" in body and "<img>" not in body
