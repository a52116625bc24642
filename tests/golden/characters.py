"""A tokenizer of single characters for a model directory that transformers wrote."""

import json


def write_character_tokenizer(directory):
    """97 tokens: <pad>, <eos>, <unk> and 94 characters."""
    names = ["<pad>", "<eos>", "<unk>"]
    tokens = {token: i for i, token in enumerate([*names, *(chr(33 + i) for i in range(94))])}
    specials = [dict(id=i, content=name, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
                for i, name in enumerate(names)]
    split = {"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": False}
    (directory / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": specials, "normalizer": None,
        "pre_tokenizer": split, "post_processor": None, "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": tokens, "unk_token": "<unk>"}}))
