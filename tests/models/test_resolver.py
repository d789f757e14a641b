"""Models that are not there, not whole, not safe or not fit: one clear line each, and nothing unpickled."""

import json
import math
import pickle
import re
import shutil
from pathlib import Path

import boto3
import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from expunge.errors import ExpungeError
from expunge.models.resolver import load_text_to_image, open_model
from expunge.release.base_model import load_base
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store

PARTS = ("unet", "vae", "text_encoder")


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def refused(source: str | Path, reason: str) -> str:
    with pytest.raises(ExpungeError, match=reason) as error:
        load_text_to_image(source)
    said = str(error.value)
    assert said.startswith("base_model: ") and f"'{source}'" in said
    assert "\n" not in said
    return said


def weights(folder: Path, part: str) -> Path:
    (found,) = (folder / part).glob("*.safetensors")
    return found


def test_a_folder_loads_by_path_and_by_name(tiny_model, folder: Path):
    assert load_text_to_image(folder).digest() == load_text_to_image(str(folder)).digest() == tiny_model.digest()


@pytest.mark.parametrize("source", ["./nowhere", "/no/such/folder", "nowhere", "a/b/c", "../up"])
def test_what_is_not_there(source: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    said = refused(source, "is not there")
    assert "'zoo'" in said and "s3://" in said and "OWNER/NAME" in said


@pytest.mark.parametrize("source", ["nobody/no-such-model", "nobody/bad..name", "nobody/name.git"])
def test_hub_ids_that_cannot_be_fetched(source: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(source, "cannot be fetched")


def test_a_folder_without_a_model(tmp_path: Path):
    refused(tmp_path, "holds no model_index.json")


def test_a_single_file_needs_a_folder_for_its_configuration(folder: Path, tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    refused(tmp_path / "model.safetensors", r"is a single file; .*: .*model\.safetensors\?config=FOLDER")
    for source, why in (
        (f"{tmp_path}/model.safetensors?config=nowhere", "nowhere is no diffusers folder"),
        (f"{tmp_path}/model.safetensors?config={folder}", "cannot be loaded with the configuration"),
    ):
        with pytest.raises(ExpungeError, match=why):
            load_text_to_image(source)


def test_a_folder_without_weights(folder: Path):
    weights(folder, "unet").unlink()
    refused(folder, "only safetensors weights are read")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_pickled_weights_are_refused_unread(part: str, protocol: str, folder: Path, tmp_path: Path):
    path = weights(folder, part)
    pickled = path.with_name("pytorch_model.bin" if part == "text_encoder" else "diffusion_pytorch_model.bin")
    path.unlink()
    trap = Trap(tmp_path / "sprung")
    if protocol == "torch":
        torch.save({"weight": trap}, pickled)
    else:
        pickled.write_bytes(pickle.dumps(trap))
    refused(folder, "safetensors")
    assert not (tmp_path / "sprung").exists()


def test_the_trap_works(tmp_path: Path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("kept", [0, 40, 0.5])
def test_truncated_weights(part: str, kept: float, folder: Path):
    path = weights(folder, part)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    refused(folder, "cannot be loaded: .+")


def test_weights_of_another_shape(folder: Path):
    config = folder / "unet" / "config.json"
    config.write_text(config.read_text().replace('"cross_attention_dim": 16', '"cross_attention_dim": 24'))
    refused(folder, "cannot be loaded: .+")


SPOILT = [
    (name, content)
    for name in ("model_index.json", "unet/config.json", "text_encoder/config.json")
    for content in ("{", "[]", "{}", '{"_class_name": "NoSuchThing"}')
]


@pytest.mark.parametrize(("name", "content"), [*SPOILT, ("scheduler/scheduler_config.json", "{")])
def test_spoilt_configs(name: str, content: str, folder: Path):
    (folder / name).write_text(content)
    refused(folder, "cannot be loaded: .+")


@pytest.mark.parametrize(
    ("given", "spoilt"),
    [
        ('"UNet2DConditionModel"', '"NoSuchModel"'),
        ('"UNet2DConditionModel"', '"AutoencoderKL"'),
        ('"diffusers",\n    "UNet2DConditionModel"', '"no_such_package",\n    "UNet2DConditionModel"'),
        ('"diffusers",\n    "UNet2DConditionModel"', '"subprocess",\n    "Popen"'),
    ],
)
def test_an_index_that_names_other_classes(given: str, spoilt: str, folder: Path):
    index = folder / "model_index.json"
    assert given in index.read_text()
    index.write_text(index.read_text().replace(given, spoilt))
    refused(folder, "cannot be loaded: .+")


@pytest.mark.parametrize("part", [*PARTS, "tokenizer", "scheduler"])
def test_a_missing_part(part: str, folder: Path):
    shutil.rmtree(folder / part)
    refused(folder, {"unet": "safetensors", "tokenizer": "holds no tokenizer"}.get(part, "cannot be loaded: .+"))


@pytest.mark.slow
def test_without_a_champion_the_configured_base_is_loaded(tiny_folder, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    inbox = Inbox(open_store(tmp_path / "inbox"), "nothing-yet")
    model, facts = load_base(str(tiny_folder), inbox)
    assert model.digest() == facts.digest == tiny_model.digest()
    assert (facts.source, facts.version) == (str(tiny_folder), None)
    with pytest.raises(ExpungeError, match=re.escape("base_model: './nowhere' is not there")):
        load_base("./nowhere", inbox)


@pytest.fixture
def upload(s3_server: str, tiny_folder: Path):
    def put(prefix: str, keep=lambda path: True) -> str:
        client = boto3.client("s3")
        for path in sorted(tiny_folder.rglob("*")):
            if path.is_file() and keep(path):
                client.upload_file(str(path), "expunge", f"{prefix}/{path.relative_to(tiny_folder).as_posix()}")
        return f"s3://expunge/{prefix}"

    return put


@pytest.mark.slow
def test_a_model_in_s3_loads_with_and_without_a_slash(upload, tiny_model):
    url = upload("models/tiny")
    upload("models/tiny-2", lambda path: False)
    assert load_text_to_image(url).digest() == load_text_to_image(url + "/").digest() == tiny_model.digest()


@pytest.mark.slow
def test_a_model_in_s3_is_found_as_soon_as_it_is_there(upload, tiny_model):
    refused("s3://expunge/models/later", "holds no model_index.json")
    assert load_text_to_image(upload("models/later")).digest() == tiny_model.digest()


@pytest.mark.slow
@pytest.mark.parametrize(
    "url", ["s3://expunge/models/none", "s3://expunge", "s3://no-such-bucket/model", "s3://", "s3:///x"]
)
def test_urls_with_nothing_behind_them(url: str, s3_server: str):
    refused(url, "holds no model_index.json|cannot be read: .+")


@pytest.mark.slow
def test_half_a_model_in_s3(upload):
    refused(upload("models/half", lambda path: path.suffix != ".safetensors"), "only safetensors weights are read")


@pytest.mark.slow
def test_a_store_that_does_not_answer_or_does_not_know_us(upload, monkeypatch):
    url = upload("models/tiny")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    refused(url, "cannot be read: .+")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    refused(url, "cannot be read: .+")


def edited(folder: Path, name: str, **values: object) -> Path:
    """The folder with some values of one of its JSON files changed."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["FlowMatchEulerDiscreteScheduler", "LCMScheduler", "TCDScheduler", "NoSuchScheduler"])
@pytest.mark.parametrize("both", [True, False])
def test_samplers_that_do_not_go_down_discrete_levels_are_refused(name: str, both: bool, folder: Path):
    edited(folder, "scheduler/scheduler_config.json", _class_name=name)
    if both:
        edited(folder, "model_index.json", scheduler=["diffusers", name])
    said = refused(folder, "cannot be loaded: .+")
    assert "NoSuch" in name or name in said


UNFIT = [
    ("unet/config.json", {"sample_size": [8, 12]}, r"sample_size is \[8, 12\]; must be one whole number"),
    ("unet/config.json", {"sample_size": None}, "sample_size is None"),
    ("unet/config.json", {"sample_size": 9}, "pictures of 36 pixels; must be a multiple of 32"),
    ("unet/config.json", {"time_cond_proj_dim": 8}, "LCM|cannot be loaded"),
    ("unet/config.json", {"addition_embed_type": "text_time"}, "SDXL|cannot be loaded"),
    ("tokenizer/tokenizer_config.json", {"model_max_length": 10**30}, "model_max_length is 1e.30, .* reads 16 tokens"),
    ("scheduler/scheduler_config.json", {"prediction_type": "flow_prediction"}, "prediction type is 'flow_prediction'"),
    (
        "model_index.json",
        {"_class_name": "StableDiffusionXLPipeline"},
        "names no text_encoder_2, tokenizer_2, which a StableDiffusionXLPipeline is made of",
    ),
    (
        "model_index.json",
        {"_class_name": "StableDiffusionInpaintPipeline"},
        "StableDiffusionInpaintPipeline; known are ClassConditional, DiTPipeline",
    ),
]


@pytest.mark.parametrize(("name", "values", "why"), UNFIT)
def test_what_could_not_be_drawn_with_is_refused_when_it_is_loaded(name: str, values: dict, why: str, folder: Path):
    refused(edited(folder, name, **values), why)


def test_a_lost_tokenizer_configuration_is_refused(folder: Path):
    (folder / "tokenizer" / "tokenizer_config.json").unlink()
    refused(folder, "model_max_length")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"in_channels": 9}, "takes 9 channels, not the autoencoder's 4"),
        ({"cross_attention_dim": 24}, "attends to 24 numbers a token, the text encoder gives 16"),
        ({"time_cond_proj_dim": 8}, "takes the guidance as an input"),
        (
            {
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 4,
                "projection_class_embeddings_input_dim": 40,
            },
            "asks for text_time beside the text, as SDXL does",
        ),
        ({"num_class_embeds": 3}, "cannot be drawn with: .*class_labels"),
    ],
)
def test_denoisers_of_other_kinds_are_refused_when_they_are_loaded(options: dict, why: str, folder: Path):
    config = UNet2DConditionModel.load_config(folder / "unet") | options
    UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")
    refused(folder, why)


@pytest.mark.parametrize("part", PARTS)
def test_weights_that_are_not_finite_are_refused_and_drawn_by_nobody(part: str, folder: Path):
    path = weights(folder, part)
    tensors = load_file(path)
    save_file({name: torch.full_like(tensor, math.nan) for name, tensor in tensors.items()}, path, {"format": "pt"})
    refused(folder, "cannot be drawn with: draws values that are not finite")


def test_half_precision_files_are_read_and_mixed_ones_are_refused(tiny_model, folder: Path):
    for part in PARTS:
        path = weights(folder, part)
        path.rename(path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")))
    assert load_text_to_image(folder).digest() == tiny_model.digest()
    path = weights(folder, "unet")
    path.rename(path.with_name(path.name.replace(".fp16.", ".non_ema.")))
    refused(folder, "cannot be loaded: .+")


def test_errors_name_the_field_that_was_given_and_never_another():
    with pytest.raises(ExpungeError, match="^--against: './nowhere' is not there") as error:
        open_model("./nowhere", "--against")
    assert "base_model" not in str(error.value)
    with pytest.raises(ExpungeError, match="^--with: 'models:/zoo' given; write models:/NAME@ALIAS"):
        open_model("models:/zoo", "--with")


def test_facts_tell_source_digest_and_sampler(tiny_model, folder: Path):
    model, facts = open_model(folder)
    assert facts.digest == model.digest() == tiny_model.digest()
    assert (facts.source, facts.version, facts.sampler) == (str(folder), "", "DDIM")
