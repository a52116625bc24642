"""Vocabularies in SentencePiece's style (Llama 2, Mistral, Gemma, Phi-3) compared with the Python tokenizers library."""

import functools
import io
import json
import os
import random

import pytest
from test_tokenizer import expect_equal_ids, make_texts, probe, read_rows, tokenize, training_texts, write_rows  # noqa: F401

os.environ["HF_HUB_OFFLINE"] = "1"
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SPACE = "\u2581"
FALLBACK = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
KINDS = {
    # normalizer, pre-tokenizer, decoder
    "llama2": (normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]), None,
               decoders.Sequence(FALLBACK + [decoders.Strip(" ", 1, 0)])),
    "mistral": (None, pre_tokenizers.Metaspace(SPACE, "first", split=False), decoders.Sequence(FALLBACK + [decoders.Strip(" ", 1, 0)])),
    "gemma": (normalizers.Replace(" ", SPACE), pre_tokenizers.Split(" ", "merged_with_previous"), decoders.Sequence(FALLBACK)),
    "metaspace": (normalizers.Replace(Regex(" {2,}"), " "), pre_tokenizers.Metaspace(SPACE, "always", split=True), decoders.Metaspace(SPACE, "always")),
}


def charsmap(repo):
    """The table of SentencePiece's default rules, nmt_nfkc, as base64."""
    import base64
    import sentencepiece.sentencepiece_model_pb2 as proto
    model = proto.ModelProto.FromString(sentencepiece_model(repo, "default"))
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()


def unigram(repo):
    """A tokenizer.json like T5's."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(SPACE, "always")])
    tokenizer.train_from_iterator(training_texts(repo), trainers.UnigramTrainer(
        vocab_size=2500, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False))
    tokenizer.decoder = decoders.Metaspace(SPACE, "always")
    content = json.loads(tokenizer.to_str())
    content["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Precompiled", "precompiled_charsmap": charsmap(repo)}, {"type": "Strip", "strip_left": False, "strip_right": True},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": SPACE}]}
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
    return tokenizer.to_str()


@functools.cache
def train(kind, repo):
    """A small tokenizer with exactly the normalizer, pre-tokenizer and decoder of its family."""
    if kind == "unigram":
        return unigram(repo)
    normalizer, pre_tokenizer, decoder = KINDS[kind]
    fallback = kind != "metaspace"
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=fallback))
    # Merges are learned from words, as SentencePiece does.
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, "always", split=True)
    tokenizer.train_from_iterator(training_texts(repo), trainers.BpeTrainer(
        vocab_size=2500, limit_alphabet=300, special_tokens=["<unk>", "<s>", "</s>"] + (BYTES if fallback else []),
        show_progress=False))
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if not token["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    if pre_tokenizer is None:
        content = json.loads(tokenizer.to_str())
        content["pre_tokenizer"] = None
        tokenizer = Tokenizer.from_str(json.dumps(content))
    else:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoder
    tokenizer.add_special_tokens([AddedToken("<|im_start|>", special=True, normalized=False)])
    tokenizer.add_tokens([AddedToken(SPACE * 2, normalized=False), AddedToken("<think>", normalized=False),
                          AddedToken("wordy", normalized=True), AddedToken("<lst>", lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
    return tokenizer.to_str()


@pytest.fixture(scope="module")
def texts(repo):
    odd = ["", " ", "  ", "   a", "a ", "a   b", "\u2581", "\u2581a", " \u2581", "<s>", "<s> a", "a<s>b", "<s><s>", " <|im_start|> a", "\n\na",
           "<0x41>", "<0x0A>", "\x00", "\U0001f469\u200d\U0001f469", "wordy", " wordy wordy", "x <lst> y", "\ufb01\u00a0\u2002x"]
    short = [text for text in make_texts(repo) if len(text) < 50_000]
    return odd + short + ["a" * 100_000, " " * 100_000, "ab" * 50_000, "\u00e9" * 50_000, "\n" * 50_000]


@pytest.fixture(scope="module")
def rows(texts, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    write_rows(path, [{"text": text} for text in texts])
    return path


@pytest.mark.parametrize("kind", [*KINDS, "unigram"])
def test_ids_equal_the_library(kind, longshot, probe, repo, texts, rows, tmp_path):  # noqa: F811
    reference = Tokenizer.from_str(train(kind, repo))
    reference.save(str(tmp_path / "tokenizer.json"))
    expect_equal_ids(longshot, reference, tmp_path, texts, rows, tmp_path)
    answer = probe({"load": str(tmp_path), "save": str(tmp_path / "copy")})[0]
    assert (tmp_path / "copy/tokenizer.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()
    assert answer == {"leading_bos": reference.token_to_id("<s>"), "vocab_size": reference.get_vocab_size()}


@pytest.mark.parametrize("kind", [*KINDS, "unigram"])
def test_decoding_equals_the_library(kind, longshot, repo, texts, tmp_path):
    reference = Tokenizer.from_str(train(kind, repo))
    reference.save(str(tmp_path / "tokenizer.json"))
    rng = random.Random(2)
    sequences = [reference.encode(t, add_special_tokens=False).ids for t in texts[:2500]]
    sequences += [[rng.randrange(reference.get_vocab_size()) for _ in range(rng.randint(0, 30))] for _ in range(2000)]
    write_rows(tmp_path / "rows.jsonl", [{"tokens": ids} for ids in sequences])
    for flags, skip in ([], False), (["--no-special"], True):
        ours = tokenize(longshot, tmp_path, tmp_path / "rows.jsonl", tmp_path, "--decode", *flags)
        theirs = reference.decode_batch(sequences, skip_special_tokens=skip)
        wrong = [(ids, a["text"], b) for ids, a, b in zip(sequences, ours, theirs) if a["text"] != b]
        assert not wrong, f"{len(wrong)} of {len(sequences)} differ, e.g. {wrong[0]}"


LLAMA2 = {"model_type": "bpe", "byte_fallback": True, "character_coverage": 0.99, "normalization_rule_name": "identity",
          "remove_extra_whitespaces": False, "user_defined_symbols": ["<think>"], "split_digits": True}
MODELS = {
    "llama2": LLAMA2,
    "identity": {"model_type": "unigram", "byte_fallback": True, "normalization_rule_name": "identity",
                 "remove_extra_whitespaces": False},
    "default": {"model_type": "unigram"},
    "bpe": {"model_type": "bpe", "add_dummy_prefix": False},
    # Gemma's tokens of several spaces are defined by the user.
    "gemma": {**LLAMA2, "add_dummy_prefix": False, "user_defined_symbols": ["<think>", SPACE * 2, SPACE * 3, SPACE * 4]},
}


@functools.cache
def sentencepiece_model(repo, name="llama2"):
    """The bytes of a tokenizer.model. "llama2": BPE with byte fallback that leaves the text as it is."""
    import sentencepiece
    sentences = [line for text in training_texts(repo) for line in text.split("\n") if line.strip()]
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(sentences), model_writer=out, vocab_size=2500,
                                             max_sentence_length=100_000, minloglevel=2, num_threads=1,
                                             **MODELS[name])
    return out.getvalue()


@pytest.fixture
def sentencepiece_folder(repo, tmp_path):
    """A model directory without tokenizer.json, as many were published."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes(sentencepiece_model(repo))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
        "added_tokens_decoder": {"0": {"content": "<unk>", "special": True}, "2500": {"content": "<|im_start|>", "special": True}}}))
    return folder


def without_special(texts):
    """SentencePiece does not recognise special tokens in a text, treats user-defined ones otherwise than transformers (which puts a
    space after each of them too), replaces NUL, and writes the unknown token as \u2047."""
    return [text.replace("<", "") for text in texts if "\x00" not in text and "\u2047" not in text]


@pytest.mark.parametrize("name", MODELS)
def test_ids_equal_sentencepiece(name, longshot, probe, repo, texts, tmp_path):  # noqa: F811
    import sentencepiece
    reference = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model(repo, name))
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(repo, name))
    sample = without_special(texts)
    assert len(sample) >= 5000
    write_rows(tmp_path / "rows.jsonl", [{"text": text} for text in sample])
    ours = [row["tokens"] for row in tokenize(longshot, tmp_path, tmp_path / "rows.jsonl", tmp_path)]
    theirs = [reference.encode(text) for text in sample]
    wrong = [(text, a, b) for text, a, b in zip(sample, ours, theirs) if a != b]
    # Where the two libraries disagree, longshot does as tokenizers, for three reasons. The rules of "default" and "bpe" replace
    # characters: SentencePiece takes the longest entry of its table, tokenizers the first one of a grapheme cluster (the texts have
    # many combining characters). Unigram models add scores: SentencePiece in float32, tokenizers in float64, so that they may choose
    # different ones of two ways that are equally good, such as the same tokens in another order. SentencePiece replaces
    # spaces before it looks for what the user has defined ("gemma"), so a text may also spell such a token with the mark of a space.
    allowed = {"default": 0.005, "bpe": 0.005, "identity": 0.001, "llama2": 0, "gemma": 0.003}[name]
    print(f"{len(wrong)} of {len(sample)} texts differ")
    assert len(wrong) <= allowed * len(sample), f"e.g. {wrong[:2]}"
    if wrong:
        probe({"load": str(tmp_path), "save": str(tmp_path / "copy")})
        library = Tokenizer.from_file(str(tmp_path / "copy/tokenizer.json"))
        wrong = [(text, a, b) for text, a, b in wrong if a != library.encode(text, add_special_tokens=False).ids]
    assert not wrong, f"{len(wrong)} of {len(sample)} differ, e.g. {wrong[:2]}"
    write_rows(tmp_path / "ids.jsonl", [{"tokens": ids} for ids in theirs])
    decoded = [row["text"] for row in tokenize(longshot, tmp_path, tmp_path / "ids.jsonl", tmp_path, "--decode")]
    wrong = [(a, b) for a, b in zip(decoded, (reference.decode(ids).replace(" \u2047 ", "<unk>") for ids in theirs)) if a != b]
    assert not wrong, f"{len(wrong)} of {len(sample)} differ, e.g. {wrong[:2]}"


@pytest.mark.parametrize("name", ["default", "identity", "bpe"])
def test_the_saved_tokenizer_json_equals_the_library(name, longshot, probe, repo, texts, tmp_path):  # noqa: F811
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(repo, name))
    probe({"load": str(tmp_path), "save": str(tmp_path / "copy")})
    saved = Tokenizer.from_file(str(tmp_path / "copy/tokenizer.json"))
    write_rows(tmp_path / "rows.jsonl", [{"text": text} for text in texts])
    ours = [row["tokens"] for row in tokenize(longshot, tmp_path / "copy", tmp_path / "rows.jsonl", tmp_path)]
    theirs = [saved.encode(text, add_special_tokens=False).ids for text in texts]
    wrong = [(text[:80], a[:20], b[:20]) for text, a, b in zip(texts, ours, theirs) if a != b]
    assert not wrong, f"{len(wrong)} of {len(texts)} differ, e.g. {wrong[:2]}"


def test_a_folder_without_tokenizer_json_is_saved_with_one(longshot, probe, texts, sentencepiece_folder, tmp_path):  # noqa: F811
    answer = probe({"load": str(sentencepiece_folder), "save": str(tmp_path / "copy")})[0]
    assert answer == {"leading_bos": 1, "vocab_size": 2501}
    for name in ("tokenizer.model", "tokenizer_config.json"):
        assert (tmp_path / "copy" / name).read_bytes() == (sentencepiece_folder / name).read_bytes()
    saved = Tokenizer.from_file(str(tmp_path / "copy/tokenizer.json"))
    assert saved.token_to_id("<|im_start|>") == 2500
    sample = [text for text in texts if len(text) < 3000][:2000]
    write_rows(tmp_path / "rows.jsonl", [{"text": text} for text in sample])
    ours = [row["tokens"] for row in tokenize(longshot, sentencepiece_folder, tmp_path / "rows.jsonl", tmp_path)]
    assert ours == [saved.encode(text, add_special_tokens=False).ids for text in sample]


@pytest.mark.parametrize("name", ["llama2", "gemma"])
def test_gguf_vocabularies_with_scores(name, longshot, probe, repo, texts, tmp_path):  # noqa: F811
    import sentencepiece
    reference = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model(repo, name))
    size = reference.vocab_size()
    pieces = [reference.id_to_piece(i) for i in range(size)]
    defined = MODELS["gemma"]["user_defined_symbols"] if name == "gemma" else ["<think>"]
    kind = lambda i: (2 if reference.is_unknown(i) else 3 if reference.is_control(i) else 6 if reference.is_byte(i)
                      else 4 if pieces[i] in defined else 1)
    # llama.cpp's converter writes plain spaces into tokens that the user has defined.
    vocabulary = {"model": "llama", "pre": "default", "tokens": [p.replace(SPACE, " ") if p in defined else p for p in pieces],
                  "token_types": [kind(i) for i in range(size)], "merges": [], "scores": [reference.get_score(i) for i in range(size)],
                  "bos": 1, "eos": 2, "unknown": 0, "add_bos": True, "chat_template": ""}
    if name == "gemma":
        vocabulary["add_space_prefix"] = False
    answer = probe({"gguf": vocabulary, "save": str(tmp_path / "model")})[0]
    assert answer == {"leading_bos": 1, "vocab_size": size}
    # SentencePiece replaces spaces before it looks for what the user has defined, so there a text may also spell such a token with
    # the mark that stands for a space.
    sample = [text for text in without_special(texts)[:2000] if name != "gemma" or SPACE not in text]
    write_rows(tmp_path / "rows.jsonl", [{"text": text} for text in sample])
    ours = [row["tokens"] for row in tokenize(longshot, tmp_path / "model", tmp_path / "rows.jsonl", tmp_path)]
    assert sum("  " in text for text in sample) > 500
    assert ours == [reference.encode(text) for text in sample]


@pytest.mark.parametrize("kind, message", [("word", "is of type 3"), ("char", "is of type 4")])
def test_other_models_are_refused(kind, message, longshot, tmp_path):
    import sentencepiece
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["a b c d e f g " * 9, "bad cab deaf "] * 20), model_writer=out,
                                             vocab_size=12, hard_vocab_limit=False, minloglevel=2, model_type=kind)
    for damage, expected in (lambda b: b, message), (lambda b: b[:-3], "damaged"):
        (tmp_path / "tokenizer.model").write_bytes(damage(out.getvalue()))
        done = longshot("tokenize", "--model", tmp_path, input='{"text": "a"}\n', check=False)
        assert done.returncode == 2
        assert f"{tmp_path}/tokenizer.model: " in done.stderr and expected in done.stderr
