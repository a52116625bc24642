"""Model files compared with the libraries that define them: safetensors, transformers and gguf.

`longshot convert` reads a model into f32 and writes it again. If every output tensor equals its input, both reading and
writing were right."""

import json
import pathlib

import gguf
import numpy as np
import packages
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import (AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM,
                          Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

SIZES = dict(vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=[2, 7], pad_token_id=0)
LLAMA3_ROPE = dict(rope_type="llama3", rope_theta=500000.0, factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=64)
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "llama_tied": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "llama_bias": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True)),
    "llama3_rope": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=LLAMA3_ROPE, head_dim=16)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES, tie_word_embeddings=True)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=16)),
    "qwen3_bias": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=16, attention_bias=True)),
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def make_model(kind, dtype=torch.float32):
    torch.manual_seed(len(kind))
    model = MODELS[kind]()
    with torch.no_grad():
        for parameter in model.parameters():  # norms and biases too, which begin as ones and zeros
            parameter.normal_()
    return model.to(dtype)


def tensors_of(directory):
    """All tensors of a model directory, read by the safetensors library itself."""
    tensors = {}
    for path in sorted(pathlib.Path(directory).glob("*.safetensors")):
        tensors.update(load_file(path))
    return tensors


def assert_same_tensors(actual, expected):
    assert sorted(actual) == sorted(expected)
    for name, value in expected.items():
        assert actual[name].dtype == value.dtype and actual[name].shape == value.shape, name
        assert torch.equal(actual[name], value), name


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shard", ["5GB", "20KB"])
def test_a_transformers_model_comes_back_bit_for_bit(longshot, tmp_path, kind, dtype, shard):
    model = make_model(kind, DTYPES[dtype])
    model.save_pretrained(tmp_path / "in", max_shard_size=shard)
    longshot("convert", "--model", tmp_path / "in", "--output", tmp_path / "out", "--max-shard-size", shard)
    assert_same_tensors(tensors_of(tmp_path / "out"), tensors_of(tmp_path / "in"))
    loaded, info = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    assert loaded.dtype == DTYPES[dtype] and type(loaded) is type(model)
    assert_same_tensors(loaded.state_dict(), model.state_dict())
    assert (tmp_path / "out/model.safetensors.index.json").exists() == (shard == "20KB")


@pytest.mark.parametrize("kind", MODELS)
def test_transformers_reads_our_configuration_as_its_own(longshot, tmp_path, kind):
    make_model(kind).save_pretrained(tmp_path / "in")
    longshot("convert", "--model", tmp_path / "in", "--output", tmp_path / "out")
    ours, theirs = (AutoConfig.from_pretrained(tmp_path / d).to_dict() for d in ("out", "in"))
    ignored = {"transformers_version", "_name_or_path", "pad_token_id",
               "rope_theta", "rope_scaling", "torch_dtype"}  # transformers 4's spelling, in addition to 5's
    for key in theirs.keys() - ignored:
        assert ours[key] == theirs[key], key
    generation = GenerationConfig.from_pretrained(tmp_path / "out")
    assert generation.eos_token_id == [2, 7] and generation.bos_token_id == 1


@pytest.mark.parametrize("kind", MODELS)
def test_the_spelling_of_transformers_4_is_read_and_written(longshot, tmp_path, kind):
    make_model(kind, torch.bfloat16).save_pretrained(tmp_path / "in")
    path = tmp_path / "in/config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["torch_dtype"] = config.pop("dtype")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    path.write_text(json.dumps(config))
    longshot("convert", "--model", tmp_path / "in", "--output", tmp_path / "out")
    ours = json.loads((tmp_path / "out/config.json").read_text())
    for key in ("torch_dtype", "rope_theta", "rope_scaling"):
        assert ours[key] == config[key], key


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_rounding_is_that_of_torch(longshot, tmp_path, dtype):
    make_model("llama").save_pretrained(tmp_path / "in")
    longshot("convert", "--model", tmp_path / "in", "--output", tmp_path / "out", "--dtype", dtype)
    expected = {name: t.to(DTYPES[dtype]) for name, t in tensors_of(tmp_path / "in").items()}
    assert_same_tensors(tensors_of(tmp_path / "out"), expected)
    assert AutoConfig.from_pretrained(tmp_path / "out").dtype == DTYPES[dtype]


def test_the_safetensors_library_reads_our_header(longshot, tmp_path):
    make_model("qwen2").save_pretrained(tmp_path / "in")
    longshot("convert", "--model", tmp_path / "in", "--output", tmp_path / "out")
    with safe_open(tmp_path / "out/model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    assert int.from_bytes((tmp_path / "out/model.safetensors").read_bytes()[:8], "little") % 8 == 0


def test_old_buffers_and_a_copy_of_the_tied_head_are_left_aside(longshot, tmp_path):
    make_model("llama_tied").save_pretrained(tmp_path / "in")
    path = tmp_path / "in/model.safetensors"
    expected = load_file(path)
    more = dict(expected)
    more["lm_head.weight"] = expected["model.embed_tokens.weight"].clone()
    more["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    save_file(more, path, metadata={"format": "pt"})
    longshot("convert", "--model", tmp_path / "in", "--output", tmp_path / "out")
    assert_same_tensors(tensors_of(tmp_path / "out"), expected)
    more["lm_head.weight"] += 1
    save_file(more, path, metadata={"format": "pt"})
    failed = longshot("convert", "--model", tmp_path / "in", "--output", tmp_path / "out2", check=False)
    assert failed.returncode == 2 and "tie_word_embeddings" in failed.stderr


@pytest.mark.parametrize("change, words", [
    (lambda t: t.pop("model.norm.weight"), ["model.norm.weight", "missing", "[32]"]),
    (lambda t: t.update(extra=torch.ones(3)), ["extra", "[3]"]),
    (lambda t: t.update({"model.norm.weight": torch.ones(31)}), ["model.norm.weight", "[31]", "[32]"]),
    (lambda t: t.update({"model.norm.weight": torch.ones(32, dtype=torch.int32)}), ["model.norm.weight", "I32"]),
])
def test_a_wrong_tensor_is_named_and_nothing_is_written(longshot, tmp_path, change, words):
    make_model("llama").save_pretrained(tmp_path / "in")
    path = tmp_path / "in/model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    failed = longshot("convert", "--model", tmp_path / "in", "--output", tmp_path / "out", check=False)
    assert failed.returncode == 2
    assert all(word in failed.stderr for word in words), failed.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_an_output_is_replaced_only_on_request_and_only_if_it_is_a_model(longshot, tmp_path):
    for kind in ("llama", "qwen3"):
        make_model(kind).save_pretrained(tmp_path / kind)
    out = tmp_path / "out"
    longshot("convert", "--model", tmp_path / "llama", "--output", out, "--max-shard-size", "20KB")
    again = ("convert", "--model", tmp_path / "qwen3", "--output", out)
    refused = longshot(*again, check=False)
    assert refused.returncode == 2 and "--overwrite" in refused.stderr
    longshot(*again, "--overwrite")
    assert_same_tensors(tensors_of(out), tensors_of(tmp_path / "qwen3"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.jpg").write_text("meow")
    refused = longshot(*again[:-1], tmp_path / "photos", "--overwrite", check=False)
    assert refused.returncode == 2 and (tmp_path / "photos/cat.jpg").exists()
    refused = longshot(*again[:-1], tmp_path / "qwen3", "--overwrite", check=False)
    assert refused.returncode == 2 and "itself" in refused.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["llama", "out", "photos", "qwen3"]


# ------------------------------------------------------------------------------------------------------- GGUF

GGUF_SIZES = dict(SIZES, hidden_size=256, intermediate_size=512, num_hidden_layers=1)
# Offsets of the f16 scales in a block: random bits there would be infinities and NaNs.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
GGUF_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
              "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
              "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
              "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
              "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def gguf_name(name):
    module, kind = name.rsplit(".", 1)
    prefix = ""
    if module.startswith("model.layers."):
        layer, module = module.removeprefix("model.layers.").split(".", 1)
        prefix = f"blk.{layer}."
    return f"{prefix}{GGUF_NAMES[module]}.{kind}"


def permute(array, heads):
    """llama.cpp's convert_hf_to_gguf.py, LlamaModel.permute."""
    half = array.shape[0] // heads // 2
    return array.reshape(heads, 2, half, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)


def is_rotary(name):
    return ".q_proj." in name or ".k_proj." in name


def random_blocks(shape, qtype, rng):
    block, size = gguf.GGML_QUANT_SIZES[qtype]
    blocks = rng.integers(0, 256, (int(np.prod(shape)) // block, size), dtype=np.uint8)
    for offset in SCALES[qtype.name]:
        scale = rng.normal(0, 0.05, len(blocks)).astype(np.float16)
        blocks[:, offset:offset + 2] = scale.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(*shape[:-1], shape[-1] // block * size)


def write_gguf(path, config, tensors, qtypes, extra=()):
    architecture = config.model_type
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    if getattr(config, "head_dim", None):  # Qwen2Config has none
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_eot_token_id(7)
    for name, array in tensors.items():
        writer.add_tensor(name, array, raw_dtype=qtypes.get(name))
    for name, array in extra:
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("name", SCALES)
def test_every_quantized_format_agrees_bit_for_bit_with_gguf(longshot, tmp_path, name):
    qtype = gguf.GGMLQuantizationType[name]
    rng = np.random.default_rng(7)
    model = LlamaForCausalLM(LlamaConfig(**GGUF_SIZES))
    tensors, qtypes, expected = {}, {}, {}
    for hf, weight in model.state_dict().items():
        if weight.dim() == 2:
            blocks = random_blocks(tuple(weight.shape), qtype, rng)
            tensors[gguf_name(hf)], qtypes[gguf_name(hf)] = blocks, qtype
            values = gguf.quants.dequantize(blocks, qtype)
        else:
            values = tensors[gguf_name(hf)] = rng.normal(size=tuple(weight.shape)).astype(np.float32)
        if is_rotary(hf):
            heads = 4 if ".q_proj." in hf else 2
            values = values.reshape(heads, 32, 2, 256).swapaxes(1, 2).reshape(values.shape)
        expected[hf] = torch.from_numpy(np.ascontiguousarray(values))
    write_gguf(tmp_path / "m.gguf", model.config, tensors, qtypes)
    longshot("convert", "--model", tmp_path / "m.gguf", "--output", tmp_path / "out")
    assert_same_tensors(tensors_of(tmp_path / "out"), expected)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_unquantized_gguf_models_give_the_original(longshot, tmp_path, kind, dtype):
    model = make_model(kind, DTYPES[dtype])
    config = model.config
    tied, tensors, qtypes = config.tie_word_embeddings, {}, {}
    expected = {k: v for k, v in model.state_dict().items() if not (tied and k == "lm_head.weight")}
    for hf, weight in expected.items():
        array = weight.float().numpy()
        if config.model_type == "llama" and is_rotary(hf):
            array = permute(array, 4 if ".q_proj." in hf else 2)
        qtype = {"float32": gguf.GGMLQuantizationType.F32, "float16": gguf.GGMLQuantizationType.F16,
                 "bfloat16": gguf.GGMLQuantizationType.BF16}[dtype]
        tensors[gguf_name(hf)] = gguf.quants.quantize(np.ascontiguousarray(array), qtype)
        qtypes[gguf_name(hf)] = qtype
    extra = []
    if kind == "llama3_rope":  # the only original length known in GGUF files
        config.rope_parameters["original_max_position_embeddings"] = 8192
        extra = [("rope_freqs.weight", llama3_divisors(config))]
    write_gguf(tmp_path / "m.gguf", config, tensors, qtypes, extra)
    longshot("convert", "--model", tmp_path / "m.gguf", "--output", tmp_path / "out")
    assert_same_tensors(tensors_of(tmp_path / "out"), expected)
    ours = AutoConfig.from_pretrained(tmp_path / "out")
    for key in ("model_type", "hidden_size", "head_dim", "num_key_value_heads", "rms_norm_eps", "rope_parameters",
                "tie_word_embeddings", "attention_bias", "mlp_bias", "bos_token_id", "eos_token_id"):
        assert getattr(ours, key, None) == getattr(config, key, getattr(ours, key, None)), key


def llama3_divisors(config):
    """llama.cpp's convert_hf_to_gguf.py, LlamaModel.generate_extra_tensors."""
    rope = config.rope_parameters
    frequencies = 1.0 / (rope["rope_theta"] ** (torch.arange(0, config.head_dim, 2).float() / config.head_dim))
    low, high, old = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    divisors = []
    for frequency in frequencies:
        wavelength = 2 * np.pi / float(frequency)
        if wavelength < old / high:
            divisors.append(1)
        elif wavelength > old / low:
            divisors.append(rope["factor"])
        else:
            smooth = (old / wavelength - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(divisors, dtype=np.float32)


def test_smollm2_gguf_is_what_transformers_makes_of_it(longshot, tmp_path):
    path = packages.smollm2_gguf()
    longshot("convert", "--model", path, "--output", tmp_path / "out")
    config = AutoConfig.from_pretrained(tmp_path / "out")
    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(config)
    # The steps of from_pretrained(gguf_file=...), which itself would also need the accelerate package.
    theirs = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=empty)
    ours = tensors_of(tmp_path / "out")
    assert sorted(ours) == sorted(theirs["tensors"]) and len(ours) == 272
    worst = max((ours[name] - value).abs().max().item() for name, value in theirs["tensors"].items())
    print(f"largest difference of a weight: {worst}")
    assert worst == 0.0
    for key, value in theirs["config"].items():
        if key in ("hidden_size", "num_hidden_layers", "head_dim", "vocab_size", "tie_word_embeddings",
                   "max_position_embeddings", "num_key_value_heads", "intermediate_size", "model_type"):
            assert getattr(config, key) == value, key
    assert config.rms_norm_eps == pytest.approx(theirs["config"]["rms_norm_eps"], rel=1e-6)
    assert config.rope_parameters["rope_theta"] == 100000.0
    loaded, info = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert loaded.num_parameters() == 134515008


def test_the_tokenizer_of_a_gguf_file_becomes_that_of_the_directory(longshot, tmp_path):
    path = packages.smollm2_gguf()
    longshot("convert", "--model", path, "--output", tmp_path / "out", "--dtype", "float16")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    vocabulary = gguf.GGUFReader(path).get_field("tokenizer.ggml.tokens").contents()
    assert tokenizer.convert_ids_to_tokens(list(range(len(vocabulary)))) == vocabulary
    text = "It's 2024, naïve café!\n\tfor i in range(10):  print(i)"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False,
                                         add_generation_prompt=True)
    assert chat.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
