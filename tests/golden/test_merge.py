"""longshot merge against mergekit: the same recipe, the same weights."""

import json
import logging

import numpy
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

mergekit = pytest.importorskip("mergekit", reason="tools/setup --tests installs it")

import mergekit.merge_methods.generalized_task_arithmetic as task_arithmetic  # noqa: E402
import mergekit.sparsify as sparsify  # noqa: E402
from mergekit.config import MergeConfiguration  # noqa: E402
from mergekit.merge import run_merge  # noqa: E402
from mergekit.options import MergeOptions  # noqa: E402

BOUND = 1e-6
NAMES = ["base", "one", "two", "three"]


def make_model(path, family, tied, seed, near=None, rounded=False):
    """Random weights, or those of the model `near` and small changes."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4,
             "num_key_value_heads": 2, "vocab_size": 53, "max_position_embeddings": 64, "tie_word_embeddings": tied}
    model = LlamaForCausalLM(LlamaConfig(**sizes)) if family == "llama" else Qwen2ForCausalLM(Qwen2Config(**sizes))
    start = near and near.state_dict()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_()
            if near is not None:
                weight.mul_(0.05).add_(start[name])
            if rounded:  # few distinct values: many differences have the same magnitude
                weight.mul_(4).round_().div_(4)
    model.save_pretrained(path, max_shard_size="20KB" if family == "qwen2" else "1GB")
    return model


@pytest.fixture(scope="module", params=["llama tied", "llama untied rounded", "qwen2 untied", "qwen2 tied"])
def folder(request, tmp_path_factory):
    """Four models; three of them are trained from the first, as far as a merge can tell."""
    folder = tmp_path_factory.mktemp("models")
    family, tied = request.param.split()[:2]
    rounded = "rounded" in request.param
    base = make_model(folder / "base", family, tied == "tied", 0, rounded=rounded)
    for i, name in enumerate(NAMES[1:]):
        make_model(folder / name, family, tied == "tied", i + 1, near=None if rounded else base, rounded=rounded)
    make_model(folder / "random", family, tied == "tied", 9)
    return folder


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def read_weights(path):
    weights = {}
    for file in sorted(path.glob("*.safetensors")):
        weights.update(load_file(file))
    return weights


def with_paths(recipe, folder):
    recipe = json.loads(json.dumps(recipe))
    for model in recipe["models"]:
        model["model"] = str(folder / model["model"])
    if "base_model" in recipe:
        recipe["base_model"] = str(folder / recipe["base_model"])
    return recipe


def merge_ours(longshot, recipe, folder, out):
    path = out.with_suffix(".toml")
    recipe = with_paths(recipe, folder)
    recipe.get("parameters", {}).pop("int8_mask", None)
    path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in recipe.items()))
    if recipe.get("parameters"):
        text = "".join(f"parameters.{key} = {toml(value)}\n" for key, value in recipe.pop("parameters").items())
        path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in recipe.items()) + text)
    longshot("merge", "--recipe", path, "--output", out, "--max-shard-size", "30KB")
    return read_weights(out)


def merge_theirs(recipe, folder, out):
    config = MergeConfiguration.model_validate(yaml.safe_load(yaml.safe_dump(with_paths(recipe, folder))))
    logging.disable(logging.WARNING)
    run_merge(config, str(out), MergeOptions(copy_tokenizer=False, quiet=True, write_model_card=False))
    return read_weights(out)


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        assert ours[name].dtype == weight.dtype == torch.float32
        worst = (ours[name] - weight).abs().max().item()
        assert worst <= BOUND, (name, worst)


def models(*entries):
    return [{"model": name, **({"parameters": parameters} if parameters else {})} for name, parameters in entries]


TWO = [("one", {"weight": 0.6, "density": 0.3}), ("two", {"weight": 0.9, "density": 0.7})]
THREE = [("one", {"weight": 0.6, "density": 0.5}), ("two", {"weight": -0.4, "density": 0.9}),
         ("three", {"weight": [0.2, 1.3], "density": [{"filter": "mlp", "value": 0.25}, {"value": [0.9, 0.1]}]})]
BY_TENSOR = [{"filter": "self_attn", "value": [0, 0.5, 0.3, 0.7, 1]}, {"filter": "mlp", "value": [1, 0.5, 0]},
             {"value": 0.45}]


def without_density(entries):
    return [(name, {"weight": parameters["weight"]}) for name, parameters in entries]


RECIPES = {
    "linear": {"merge_method": "linear", "models": models(*without_density(THREE))},
    "linear sum": {"merge_method": "linear", "models": models(*without_density(TWO)),
                   "parameters": {"normalize": False}},
    "linear by tensor": {"merge_method": "linear",
                         "models": models(("one", {"weight": BY_TENSOR}), ("two", {"weight": 0.8}))},
    "slerp": {"merge_method": "slerp", "base_model": "base", "models": models(("base", None), ("random", None)),
              "parameters": {"t": 0.3}},
    "slerp by tensor": {"merge_method": "slerp", "base_model": "random",
                        "models": models(("one", None), ("random", None)), "parameters": {"t": BY_TENSOR}},
    "slerp parallel": {"merge_method": "slerp", "base_model": "base", "models": models(("base", None), ("one", None)),
                       "parameters": {"t": [0.2, 0.9]}},
    "task arithmetic": {"merge_method": "task_arithmetic", "base_model": "base",
                        "models": models(*without_density(THREE)), "parameters": {"lambda": 0.7}},
    "task arithmetic mean": {"merge_method": "task_arithmetic", "base_model": "base",
                             "models": models(("base", None), *without_density(TWO)),
                             "parameters": {"normalize": True, "lambda": BY_TENSOR}},
    "ties": {"merge_method": "ties", "base_model": "base", "models": models(*TWO)},
    "ties sum": {"merge_method": "ties", "base_model": "base", "models": models(*THREE),
                 "parameters": {"normalize": False, "lambda": 1.5}},
    "ties rescaled": {"merge_method": "ties", "base_model": "base", "models": models(*THREE),
                      "parameters": {"rescale": True, "int8_mask": True}},
    "ties sparse": {"merge_method": "ties", "base_model": "base",
                    "models": models(("one", {"weight": 1, "density": 0.004}), ("two", {"weight": 1, "density": 0}))},
    "dare linear whole": {"merge_method": "dare_linear", "base_model": "base", "models": models(*without_density(TWO))},
    "dare ties whole": {"merge_method": "dare_ties", "base_model": "base", "models": models(*without_density(THREE))},
}


@pytest.fixture(autouse=True)
def stable_argsort(monkeypatch):
    """Which of equal magnitudes mergekit keeps is up to torch's sort, which is not stable unless it is asked to be."""
    original = torch.argsort
    monkeypatch.setattr(sparsify.torch, "argsort", lambda *args, **kwargs: original(*args, **kwargs, stable=True))


@pytest.mark.parametrize("name", RECIPES)
def test_equals_mergekit(longshot, folder, tmp_path, name):
    recipe = {**RECIPES[name], "dtype": "float32"}
    assert_same(merge_ours(longshot, recipe, folder, tmp_path / "ours"),
                merge_theirs(recipe, folder, tmp_path / "theirs"))


def masks_of(longshot, folder, tmp_path, entries, seed):
    """What longshot keeps of each model, from merges in which only that model has a weight."""
    base, masks = read_weights(folder / "base"), []
    for chosen, (name, _) in enumerate(entries):
        only = [(other, {**parameters, "weight": float(i == chosen)}) for i, (other, parameters) in enumerate(entries)]
        recipe = {"merge_method": "dare_linear", "base_model": "base", "models": models(*only), "dtype": "float32",
                  "seed": seed, "parameters": {"rescale": False}}
        merged = merge_ours(longshot, recipe, folder, tmp_path / f"only{chosen}")
        model = read_weights(folder / name)
        masks.append({key: torch.where(model[key] == base[key], 1.0, (merged[key] != base[key]).float())
                      for key in merged})
    return masks


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties"])
def test_dare_equals_mergekit_with_the_same_mask(longshot, folder, tmp_path, method, monkeypatch):
    entries = [(name, {"weight": weight, "density": density})
               for name, weight, density in [("one", 0.7, 0.3), ("two", 0.5, 0.8), ("three", 0.4, 0.5)]]
    masks = masks_of(longshot, folder, tmp_path, entries, seed=11)
    state = {}

    def merge_group(self, group, /, **parameters):
        state.update(name=group.metadata.name, model=0)
        return original(self, group, **parameters)

    def bernoulli(tensor, density, rescale_norm=None):
        mask = masks[state["model"]][state["name"]]
        state["model"] += 1
        return sparsify.rescaled_masked_tensor(tensor, mask, rescale_norm)

    original = task_arithmetic.GeneralizedTaskArithmeticMerge.merge_group
    monkeypatch.setattr(task_arithmetic.GeneralizedTaskArithmeticMerge, "merge_group", merge_group)
    monkeypatch.setattr(sparsify, "bernoulli", bernoulli)
    recipe = {"merge_method": method, "base_model": "base", "models": models(*entries), "dtype": "float32"}
    theirs = merge_theirs(recipe, folder, tmp_path / "theirs")
    assert state["model"] == len(entries)
    assert_same(merge_ours(longshot, {**recipe, "seed": 11}, folder, tmp_path / "ours"), theirs)


def test_dare_keeps_its_share(longshot, folder, tmp_path):
    entries = [("one", {"density": 0.3}), ("two", {"density": 0.8})]
    base = read_weights(folder / "base")
    for (name, parameters), mask in zip(entries, masks_of(longshot, folder, tmp_path, entries, seed=1), strict=True):
        model, density = read_weights(folder / name), parameters["density"]
        kept = numpy.concatenate([mask[key][model[key] != base[key]].numpy() for key in mask])  # a difference shows it
        assert abs(kept.mean() - density) < 4 * (density * (1 - density) / kept.size) ** 0.5
