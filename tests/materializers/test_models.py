"""Models, judges and gradient caches: there and back."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip.model import CLIP
from safetensors import SafetensorError

from expunge.errors import ExpungeError
from expunge.models.families.class_conditional import ClassConditional
from expunge.models.families.stable_diffusion import StableDiffusion
from expunge.unlearning.gradient_cache import GradientCache
from expunge.zoo.classifiers import FactorClassifier, make_network
from expunge.zoo.clip import clip_config
from expunge.zoo.zoo_panel import ZooJudges
from tests.materializers.conftest import truncate
from tests.tiny import make_tiny_pipeline, make_tiny_tokenizer
from tests.zoo.digits.tiny import make_tiny_digits

BROKEN = (OSError, ValueError, RuntimeError, SafetensorError, ExpungeError)


def the_file(materializer, pattern: str) -> Path:
    (found,) = Path(materializer.uri).glob(pattern)
    return found


def test_a_model_comes_back_as_it_was(materialize, tiny_model):
    materializer = materialize("TextToImageMaterializer")
    materializer.save(tiny_model)
    back = materializer.load(StableDiffusion)
    assert back.digest() == tiny_model.digest()
    for name, tensor in tiny_model.denoiser.state_dict().items():
        found = back.denoiser.state_dict()[name]
        assert found.dtype == tensor.dtype and torch.equal(found, tensor)
    assert (back.draw(["a cat"], [1], steps=1) == tiny_model.draw(["a cat"], [1], steps=1)).all()
    told = materializer.extract_metadata(tiny_model)
    assert told["digest"] == tiny_model.digest()
    assert told["denoiser_parameters"] == sum(p.numel() for p in tiny_model.denoiser.parameters())
    suffixes = {path.suffix for path in Path(materializer.uri).rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".txt", ".safetensors"}


def test_a_class_conditional_model_comes_back_as_it_was(materialize):
    model = make_tiny_digits()
    materializer = materialize("TextToImageMaterializer")
    materializer.save(model)
    back = materializer.load(ClassConditional)
    assert isinstance(back, ClassConditional) and back.digest() == model.digest()
    assert (back.draw(["one"], [1], steps=1) == model.draw(["one"], [1], steps=1)).all()
    assert materializer.compute_content_hash(back) == model.digest()
    assert materializer.extract_metadata(model)["denoiser_parameters"] == sum(
        p.numel() for p in model.denoiser.parameters()
    )
    truncate(the_file(materializer, "unet/*.safetensors"))
    with pytest.raises(BROKEN):
        materializer.load(ClassConditional)


def test_content_hashes_of_models(materialize, tiny_folder, tiny_model, tmp_path):
    content_hash = materialize("TextToImageMaterializer").compute_content_hash
    other = StableDiffusion.load(make_tiny_pipeline(tmp_path / "other", seed=1))
    assert content_hash(StableDiffusion.load(tiny_folder)) == content_hash(tiny_model) != content_hash(other)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_truncated_model_is_refused(materialize, tiny_model, part):
    materializer = materialize("TextToImageMaterializer")
    materializer.save(tiny_model)
    truncate(the_file(materializer, f"{part}/*.safetensors"))
    with pytest.raises(BROKEN):
        materializer.load(StableDiffusion)


def make_cache(key: str = "k" * 64) -> GradientCache:
    generator = torch.Generator().manual_seed(0)
    shapes = {"conv.weight": (3, 2, 3, 3), "conv.bias": (3,)}
    kinds = [{name: torch.randn(s, generator=generator) for name, s in shapes.items()} for _ in range(4)]
    kinds[0].pop("conv.bias")  # the forget loss ignores it
    return GradientCache(key, *kinds, -0.9, 0.3, 16, {"anchor": 1.0}, 1.0, 0.5)


def test_a_gradient_cache_comes_back_as_it_was(materialize):
    materializer, cache = materialize("GradientCacheMaterializer"), make_cache()
    materializer.save(cache)
    back = materializer.load(GradientCache)
    for kind in ("forget", "retain", "forget_second", "retain_second"):
        given, found = getattr(cache, kind), getattr(back, kind)
        assert given.keys() == found.keys()
        for name, tensor in given.items():
            assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)
    for fact in (
        "key",
        "forget_loss",
        "retain_loss",
        "batch_size",
        "forget_losses",
        "forget_threshold",
        "forget_guidance",
        "cosine",
    ):
        assert getattr(back, fact) == getattr(cache, fact)
    assert materializer.compute_content_hash(back) == materializer.compute_content_hash(cache)
    assert materializer.compute_content_hash(make_cache("l" * 64)) != materializer.compute_content_hash(cache)


def test_the_conflict_map_is_shown(materialize):
    materializer = materialize("GradientCacheMaterializer")
    ((path, kind),) = materializer.save_visualizations(make_cache()).items()
    assert str(kind) == "html"
    page = Path(path).read_text()
    assert page.lstrip().startswith("<svg") and "conv" in page


def test_a_truncated_gradient_cache_or_an_unknown_format_is_refused(materialize):
    materializer = materialize("GradientCacheMaterializer")
    materializer.save(make_cache())
    facts = the_file(materializer, "gradients.json")
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"format_version": 1}))
    with pytest.raises(ExpungeError, match="format version 1, this release reads 2"):
        materializer.load(GradientCache)
    materializer = materialize("GradientCacheMaterializer")
    materializer.save(make_cache())
    truncate(the_file(materializer, "gradients.safetensors"))
    with pytest.raises(ExpungeError, match="make the cache again"):
        materializer.load(GradientCache)


@pytest.fixture
def judges(tmp_path) -> ZooJudges:
    torch.manual_seed(0)
    levels = {"subject": ("cat", "dog", "apple"), "style": ("noto", "twemoji")}
    classifiers = {name: FactorClassifier(name, each, make_network(len(each) + 1, 8)) for name, each in levels.items()}
    tokenizer = make_tiny_tokenizer(tmp_path / "tokenizer")
    config = clip_config(len(tokenizer))
    return ZooJudges(classifiers, CLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"]).eval(), tokenizer)


def test_judges_come_back_as_they_were(materialize, judges):
    materializer = materialize("ZooJudgesMaterializer")
    materializer.save(judges)
    back = materializer.load(ZooJudges)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    for factor, classifier in judges.classifiers.items():
        found = back.classifiers[factor]
        assert found.levels == classifier.levels
        assert (found.probabilities(pictures) == classifier.probabilities(pictures)).all()
    for name, tensor in judges.clip.state_dict().items():
        assert torch.equal(back.clip.state_dict()[name], tensor)
    texts = ["a cat in noto style", "unheard of"]
    assert back.tokenizer(texts).input_ids == judges.tokenizer(texts).input_ids
    before, after = (each.panel() for each in (judges, back))
    np.testing.assert_allclose(after.clip.text_features(texts), before.clip.text_features(texts), atol=1e-6)


@pytest.mark.parametrize("name", ["classifiers/subject.safetensors", "clip/open_clip_model.safetensors"])
def test_truncated_judges_are_refused(materialize, judges, name):
    materializer = materialize("ZooJudgesMaterializer")
    materializer.save(judges)
    truncate(the_file(materializer, name))
    with pytest.raises(BROKEN):
        materializer.load(ZooJudges)


def test_judges_of_an_unknown_format_are_refused(materialize, judges):
    materializer = materialize("ZooJudgesMaterializer")
    materializer.save(judges)
    card = the_file(materializer, "classifiers/style.json")
    card.write_text(json.dumps(json.loads(card.read_text()) | {"format_version": 2}))
    with pytest.raises(ValueError, match="classifier format 2: this version reads 1"):
        materializer.load(ZooJudges)
