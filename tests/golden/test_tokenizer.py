"""`longshot tokenize` compared with the Python tokenizers library, token by token, and chat templates compared with Jinja."""

import copy
import functools
import json
import os
import pathlib
import random
import subprocess
import sys

import packages
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # everything is local; otherwise transformers would query the network and wait
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from chat_templates import TEMPLATES

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
SPECIAL = {
    "llama3": ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"],
    "qwen2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    "gpt2": ["<|endoftext|>"],
    "smollm": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
}
WORDS = """hello World don't I'LL we'VE it's ſ 'ſ it'ſ 123 1234567 ٣٤٥ Ⅷ ½ x=1; def日本 中文 한국어 ไทย हिन्दी ﬁ
👩‍👩‍👧‍👦 🇩🇪 👍🏽 힣 <|endoftext|> <|im_start|> <|im_end|> <|begin_of_text|> <|eot_id|> <think> </think> <lst> <rst>
<both> wordy swordy wordy_ <mask> <think>x <|im_ |>""".split()
ODD = ["\n", "\n\n", "\r\n", "\t", " ", "  ", "     ", "\u00a0", "\u180e", "\u2028", "\u3000", "\u0085", "\u200b",
       "e\u0301", "\u00e9", "e\u0301cole", "\u00e9cole", "a\u0328\u0301", "\u1e9b\u0323", "\u0344",
       "\u1100\u1161\u11a8", "\x00", "\x1c", "\x7f", "\ufeff", "\ufffd", "\U0010ffff", "\ue000", "\u0301"]


def training_texts(repo):
    for path in sorted(repo.glob("src/**/*.cc"))[:60]:
        yield path.read_text()
    yield "héllo wörld ñandú Ελληνικά Кириллица 中文字符 日本語 한국어 🙂👩‍👩‍👧 écoles " * 50
    yield " ".join(WORDS) * 20


def byte_level(use_regex, add_prefix_space=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=use_regex)


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def train(kind, repo):
    """Trains a small tokenizer with exactly the normalizer, pre-tokenizer and added tokens of its family."""
    return Tokenizer.from_str(train_once(kind, repo))


@functools.cache
def train_once(kind, repo):
    tokenizer = Tokenizer(models.BPE(ignore_merges=kind == "llama3"))
    if kind == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = {
        "llama3": lambda: pre_tokenizers.Sequence([split(LLAMA3), byte_level(False)]),
        "qwen2": lambda: pre_tokenizers.Sequence([split(QWEN2), byte_level(False)]),
        "gpt2": lambda: byte_level(True, add_prefix_space=True),
        "smollm": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(True)]),
    }[kind]()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(training_texts(repo), trainers.BpeTrainer(
        vocab_size=3000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL[kind]])
    tokenizer.add_tokens([
        AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False),
        AddedToken("<think>x", normalized=False), AddedToken("<lst>", lstrip=True),
        AddedToken("<rst>", rstrip=True, normalized=False), AddedToken("<both>", lstrip=True, rstrip=True),
        AddedToken("wordy", single_word=True), AddedToken("e\u0301cole", normalized=True)])
    tokenizer.add_special_tokens([AddedToken("<mask>", special=True, lstrip=True, normalized=False)])
    if kind == "llama3":
        bos = "<|begin_of_text|>"
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))])])
    return tokenizer.to_str()


def any_character(rng, limit):
    while True:
        c = rng.randrange(limit)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def make_texts(repo):
    rng = random.Random(1)
    texts = [""]
    for _ in range(2500):
        texts.append("".join(rng.choice(WORDS if rng.random() < 0.6 else ODD) + rng.choice(["", " ", "  ", "\n"])
                             for _ in range(rng.randint(1, 25))))
    for _ in range(1500):
        limit = rng.choice([0x80, 0x300, 0x800, 0x3000, 0x10000, 0x20000, 0x110000])
        texts.append("".join(any_character(rng, limit) for _ in range(rng.randint(1, 40))))
    for _ in range(800):
        texts.append(bytes(rng.randrange(256) for _ in range(rng.randint(1, 60))).decode("latin1"))
    # Every assigned code point, in runs and one by one.
    for base in range(0, 0x110000, 256):
        if base < 0xD800 or 0xE000 <= base < 0x32000 or 0xE0000 <= base < 0xE0200 or base >= 0x10FF00:
            run = [chr(c) for c in range(base, base + 256)]
            texts += ["".join(run), " ".join(run)]
    texts += [path.read_text() for path in sorted(repo.glob("src/**/*.h"))]
    texts += ["a" * 1_000_000, " " * 1_000_000, "ab" * 200_000, "\u0301" * 100_000, "1" * 200_000, "é" * 200_000,
              "\n" * 100_000, "!" * 200_000]
    assert len(texts) >= 5000
    return texts


@pytest.fixture(scope="session")
def texts(repo):
    return make_texts(repo)


@pytest.fixture(scope="session")
def rows(texts, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    write_rows(path, [{"text": text} for text in texts])
    return path


@pytest.fixture(scope="session")
def some_texts(texts):
    """A selection without the long texts, for tests that repeat a comparison in another form."""
    rng = random.Random(4)
    return rng.sample([text for text in texts if len(text) < 3000], 2000)


@pytest.fixture(scope="session")
def some_rows(some_texts, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "some.jsonl"
    write_rows(path, [{"text": text} for text in some_texts])
    return path


@pytest.fixture(scope="session")
def gguf_path():
    return packages.smollm2_gguf()


@pytest.fixture(scope="session")
def smollm2(gguf_path):
    """The vocabulary in the format of the probe's request."""
    from gguf import GGUFReader
    fields = GGUFReader(gguf_path).fields
    value = lambda key: fields[key].contents()
    return {
        "model": value("tokenizer.ggml.model"), "pre": value("tokenizer.ggml.pre"),
        "tokens": value("tokenizer.ggml.tokens"), "token_types": [int(t) for t in value("tokenizer.ggml.token_type")],
        "merges": value("tokenizer.ggml.merges"), "bos": int(value("tokenizer.ggml.bos_token_id")),
        "eos": int(value("tokenizer.ggml.eos_token_id")), "pad": int(value("tokenizer.ggml.padding_token_id")),
        "unknown": int(value("tokenizer.ggml.unknown_token_id")), "add_bos": False,
        "chat_template": value("tokenizer.chat_template"),
    }


@pytest.fixture(scope="session")
def probe(longshot_bin):
    """Returns probe(request, ...) -> answers of the helper program."""
    def run(*requests):
        done = subprocess.run([longshot_bin.parent / "tokenizer_probe"], text=True, capture_output=True, check=True,
                              input="".join(json.dumps(r) + "\n" for r in requests))
        answers = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
        assert len(answers) == len(requests)
        return answers
    return run


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read_rows(path):
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def tokenize(longshot, model, rows, tmp_path, *flags):
    out = tmp_path / "out.jsonl"
    longshot("tokenize", "--model", model, "--input", rows, "--output", out, *flags)
    return read_rows(out)


def expect_equal_ids(longshot, reference, model, texts, rows, tmp_path):
    for flags, plain in ([], False), (["--no-special"], True):
        reference.encode_special_tokens = plain
        ours = [row["tokens"] for row in tokenize(longshot, model, rows, tmp_path, *flags)]
        theirs = [reference.encode(text, add_special_tokens=False).ids for text in texts]
        assert len(ours) == len(theirs)
        wrong = [repr(t[:80]) for t, a, b in zip(texts, ours, theirs) if a != b]
        assert not wrong, f"{len(wrong)} of {len(texts)} texts differ, e.g. {wrong[:3]}"


@pytest.mark.parametrize("kind", SPECIAL)
def test_ids_equal_the_library(kind, longshot, probe, repo, texts, rows, tmp_path):
    reference = train(kind, repo)
    reference.save(str(tmp_path / "tokenizer.json"))
    expect_equal_ids(longshot, reference, tmp_path, texts, rows, tmp_path)
    # The files are restored byte for byte, and the BOS is found.
    answer = probe({"load": str(tmp_path), "save": str(tmp_path / "copy")})[0]
    assert (tmp_path / "copy/tokenizer.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()
    first = reference.encode("a", add_special_tokens=True).ids[0]
    assert answer["leading_bos"] == (first if kind == "llama3" else None)
    assert answer["vocab_size"] == reference.get_vocab_size()


def test_merges_as_strings(longshot, repo, texts, tmp_path):
    reference = train("qwen2", repo)
    content = json.loads(reference.to_str())
    content["model"]["merges"] = [" ".join(merge) for merge in content["model"]["merges"]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    write_rows(tmp_path / "rows.jsonl", [{"text": t} for t in texts[:500]])
    ours = tokenize(longshot, tmp_path, tmp_path / "rows.jsonl", tmp_path)
    assert [r["tokens"] for r in ours] == [reference.encode(t, add_special_tokens=False).ids for t in texts[:500]]


def test_decoding_equals_the_library(longshot, repo, texts, tmp_path):
    reference = train("llama3", repo)
    reference.save(str(tmp_path / "tokenizer.json"))
    # An added token with characters of the byte alphabet stands for its own text here; the library reads it as bytes.
    ecole = reference.token_to_id("e\u0301cole")
    rng = random.Random(2)
    sequences = [reference.encode(t, add_special_tokens=False).ids for t in texts[:3000]]
    sequences += [[rng.randrange(reference.get_vocab_size()) for _ in range(rng.randint(0, 30))] for _ in range(2000)]
    sequences = [[i for i in ids if i != ecole] for ids in sequences]
    write_rows(tmp_path / "rows.jsonl", [{"tokens": ids} for ids in sequences])
    for flags, skip in ([], False), (["--no-special"], True):
        ours = tokenize(longshot, tmp_path, tmp_path / "rows.jsonl", tmp_path, "--decode", *flags)
        assert [r["text"] for r in ours] == reference.decode_batch(sequences, skip_special_tokens=skip)


def smollm2_reference(vocabulary):
    """The tokenizer that the library's own classes build from the GGUF vocabulary."""
    tokens = vocabulary["tokens"]
    reference = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)},
                                     merges=[tuple(m.split(" ")) for m in vocabulary["merges"]]))
    reference.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), byte_level(True)])
    reference.decoder = decoders.ByteLevel()
    reference.add_special_tokens([AddedToken(t, special=True, normalized=False)
                                  for t, kind in zip(tokens, vocabulary["token_types"]) if kind == 3])
    return reference


def test_smollm2_from_gguf(longshot, probe, gguf_path, smollm2, texts, rows, tmp_path):
    reference = smollm2_reference(smollm2)
    expect_equal_ids(longshot, reference, gguf_path, texts, rows, tmp_path)


def test_smollm2_saved_from_gguf(longshot, probe, smollm2, some_texts, some_rows, tmp_path):
    """save() writes a tokenizer that transformers can read too, with its chat template."""
    from transformers import AutoTokenizer
    probe({"gguf": smollm2, "save": str(tmp_path)})
    expect_equal_ids(longshot, smollm2_reference(smollm2), tmp_path, some_texts, some_rows, tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    ours = [row["tokens"] for row in tokenize(longshot, tmp_path, some_rows, tmp_path)]
    assert ours == [theirs(text, add_special_tokens=False)["input_ids"] for text in some_texts]
    assert (theirs.eos_token_id, theirs.bos_token_id, theirs.pad_token_id) == (2, 1, 2)
    assert theirs.chat_template == smollm2["chat_template"]
    dialogue = [{"role": "user", "content": "Hi"}]
    answer = probe({"chat_directory": str(tmp_path), "messages": dialogue, "add_generation_prompt": True})[0]
    assert answer["family"] == "jinja"
    assert answer["text"] == theirs.apply_chat_template(dialogue, tokenize=False, add_generation_prompt=True)


def test_smollm2_as_transformers_reads_the_gguf(longshot, gguf_path, texts, tmp_path):
    """transformers omits the splitting of digits, so only texts without digits are compared."""
    from transformers import AutoTokenizer
    theirs = AutoTokenizer.from_pretrained(gguf_path.parent, gguf_file=gguf_path.name)
    sample = [t for t in texts if len(t) < 2000 and not any(c.isnumeric() for c in t)][:2000]
    write_rows(tmp_path / "rows.jsonl", [{"text": t} for t in sample])
    ours = tokenize(longshot, gguf_path, tmp_path / "rows.jsonl", tmp_path)
    assert [r["tokens"] for r in ours] == [theirs(t, add_special_tokens=False)["input_ids"] for t in sample]


@pytest.mark.parametrize("pre, kind", [("llama-bpe", "llama3"), ("qwen2", "qwen2"), ("gpt-2", "gpt2"),
                                       ("smollm", "smollm")])
def test_gguf_vocabularies_of_other_families(pre, kind, longshot, probe, repo, some_texts, some_rows, tmp_path):
    reference = train(kind, repo)
    size = reference.get_vocab_size()
    content = json.loads(reference.to_str())
    # GGUF has no strip flags, no normalized added tokens and no prefix space.
    for token in content["added_tokens"]:
        token.update(lstrip=False, rstrip=False, single_word=False, normalized=False)
    if kind == "gpt2":
        content["pre_tokenizer"]["add_prefix_space"] = False
    reference = Tokenizer.from_str(json.dumps(content))
    added = {t["id"]: t["special"] for t in content["added_tokens"]}
    vocabulary = {
        "model": "gpt2", "pre": pre, "tokens": [reference.id_to_token(i) for i in range(size)] + ["[PAD]"],
        "token_types": [(3 if added[i] else 4) if i in added else 1 for i in range(size)] + [5],
        "merges": [" ".join(m) for m in content["model"]["merges"]], "eos": min(added), "bos": min(added),
        "add_bos": kind == "llama3", "chat_template": "",
    }
    answer = probe({"gguf": vocabulary, "save": str(tmp_path / "model")})[0]
    assert answer == {"leading_bos": min(added) if kind == "llama3" else None, "vocab_size": size}
    expect_equal_ids(longshot, reference, tmp_path / "model", some_texts, some_rows, tmp_path)
    saved = Tokenizer.from_file(str(tmp_path / "model/tokenizer.json"))
    assert saved.get_vocab() == reference.get_vocab()
    reference.encode_special_tokens = False
    sample = some_texts[:1000]
    plain = lambda tokenizer: [tokenizer.encode(t, add_special_tokens=False).ids for t in sample]
    assert plain(saved) == plain(reference)
    assert saved.encode("a").ids == reference.encode("a").ids


def test_character_tokenizer_is_readable_by_transformers(longshot, probe, tmp_path):
    from transformers import AutoTokenizer
    alphabet = "0123456789+-*/()= \nabcé🙂"
    probe({"alphabet": alphabet, "save": str(tmp_path)})
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert (theirs.pad_token_id, theirs.eos_token_id, theirs.unk_token_id) == (0, 1, 2)
    rng = random.Random(3)
    sample = ["".join(rng.choice(list(alphabet) + ["<eos>", "<pad>", "x", "\r", "\u0301"]) for _ in range(30))
              for _ in range(500)]
    write_rows(tmp_path / "rows.jsonl", [{"text": t} for t in sample])
    ours = [r["tokens"] for r in tokenize(longshot, tmp_path, tmp_path / "rows.jsonl", tmp_path)]
    assert ours == [theirs(t, add_special_tokens=False)["input_ids"] for t in sample]
    write_rows(tmp_path / "ids.jsonl", [{"tokens": ids} for ids in ours])
    decoded = tokenize(longshot, tmp_path, tmp_path / "ids.jsonl", tmp_path, "--decode", "--no-special")
    assert [r["text"] for r in decoded] == [theirs.decode(ids, skip_special_tokens=True) for ids in ours]


@pytest.mark.parametrize("line, flags, message", [
    ("nonsense", [], ":2: not valid JSON"),
    ('{"txt": "a"}', [], ":2: key 'text' is missing"),
    ('{"text": 5}', [], ":2: key 'text' has the wrong type"),
    ('{"tokens": [1, 999999999]}', ["--decode"], ":2: token 999999999 is not an id"),
    ('{"tokens": [-1]}', ["--decode"], ":2: token -1 is not an id"),
])
def test_a_bad_row_is_named(line, flags, message, longshot, probe, tmp_path):
    probe({"alphabet": "ab", "save": str(tmp_path)})
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "tokens": [3]}\n' + line + "\n")
    done = longshot("tokenize", "--model", tmp_path, "--input", path, *flags, check=False)
    assert done.returncode == 2
    assert f"{path}{message}" in done.stderr


def test_standard_streams(longshot, probe, tmp_path):
    probe({"alphabet": "ab", "save": str(tmp_path)})
    assert longshot("tokenize", "--model", tmp_path, input='{"text": "ab"}\n').stdout == '{"tokens":[3,4]}\n'


def dialogues():
    make = lambda role: lambda content: {"role": role, "content": content}
    user, assistant, system = make("user"), make("assistant"), make("system")
    thought = "<think>\n2 and 2\nis 4\n</think>\n\nFour."
    yield [user("Hi")]
    yield [user("  Hi there \n")]
    yield [system(" Be brief.\n"), user("Hi")]
    yield [user("2+2?"), assistant(thought)]
    yield [user("2+2?"), assistant(thought), user("3+3?")]
    yield [user("2+2?"), assistant(thought), user("3+3?"), assistant("Six. \u3000")]
    yield [system("S"), user("q"), assistant("no closing <think> tag"), user("r"), assistant("a </think> b </think>\n c")]
    yield [user("x"), assistant("<think>\n\n</think>\n\nempty")]
    yield [user("x"), assistant("\n\nleading newlines")]
    yield [user("{{ not jinja }} <|im_end|> <|eot_id|>"), assistant("\\n 'quotes' \"double\"")]
    yield [user("<tool_response>\n4\n</tool_response>"), assistant("ok")]
    yield [user("q"), assistant("<think>a</think>b"), user("<tool_response>4</tool_response>"), assistant(thought)]


def jinja_text(template, messages, prompt, tokens):
    from transformers.utils.chat_template_utils import render_jinja_template
    rendered, _ = render_jinja_template([copy.deepcopy(messages)], chat_template=template,
                                        add_generation_prompt=prompt, date_string="26 Jul 2024", **tokens)
    return rendered[0]


@pytest.mark.parametrize("name", TEMPLATES)
def test_chat_templates_equal_jinja(name, probe, smollm2, tmp_path):
    family, template, tokens = TEMPLATES[name]
    if name == "smollm2":
        assert template == smollm2["chat_template"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template, **tokens}))
    requests = [{"chat_directory": str(tmp_path), "messages": m, "add_generation_prompt": prompt}
                for m in dialogues() for prompt in (False, True)]
    for request, answer in zip(requests, probe(*requests)):
        expected = jinja_text(template, request["messages"], request["add_generation_prompt"], tokens)
        assert answer == {"family": "jinja", "text": expected}
