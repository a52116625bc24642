"""Chats through `longshot tokenize` compared with transformers' apply_chat_template: texts and tokens."""

import copy
import json
import subprocess

import pytest
from published_templates import TEMPLATES
from test_jinja import CHATS, TOOL
from test_tokenizer import train

KINDS = ("qwen-tools-thinking", "llama-tools", "gemma", "glm-visible-text", "kimi-k2", "hermes", "phi-3", "smollm3",
         "mistral-large-tools", "deepseek-r1", "exaone-4", "granite-3", "zephyr", "chatml-set-parts-open",
         "qwen2-vl", "llama4", "magistral")
ARGUMENTS = [{}, {"enable_thinking": False}, {"documents": [{"title": "T", "text": "x"}]}]


@pytest.fixture(scope="module")
def tokenizer(repo):
    from transformers import PreTrainedTokenizerFast
    return PreTrainedTokenizerFast(tokenizer_object=train("qwen2", repo), bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|endoftext|>")


def tokenize(longshot_bin, model, rows, *options):
    return subprocess.run([longshot_bin, "tokenize", "--model", model, *options], input="".join(json.dumps(row) + "\n" for row in rows).encode(),
                          capture_output=True, timeout=120)


def reference(tokenizer, chat, prompt, arguments):
    """Returns the text and its tokens; None if the template raises."""
    given = {"add_generation_prompt": prompt, **arguments}
    try:
        text = tokenizer.apply_chat_template(copy.deepcopy(chat), tokenize=False, **given)
        return text, tokenizer.apply_chat_template(copy.deepcopy(chat), tokenize=True, return_dict=False, **given)
    except Exception:
        return None


@pytest.mark.parametrize("name", KINDS)
def test_tokenize_writes_what_transformers_gives(name, longshot_bin, tokenizer, tmp_path):
    tokenizer.chat_template = TEMPLATES[name]
    tokenizer.save_pretrained(tmp_path)
    assert (tmp_path / "chat_template.jinja").exists()
    rows, expected, raising = [], [], []
    for chat in CHATS.values():
        for prompt in (True, False):
            for tools in ({}, {"tools": [TOOL]}):
                for more in ARGUMENTS:
                    right = reference(tokenizer, chat, prompt, {**tools, **more})
                    row = {"messages": chat, "add_generation_prompt": prompt, **tools, "chat_template_kwargs": more}
                    (raising if right is None else rows).append(row)
                    expected += [] if right is None else [right]
    assert len(rows) > 40
    done = tokenize(longshot_bin, tmp_path, rows, "--chat-template-args", '{"strftime_now": "%s"}' % today())
    assert done.returncode == 0, done.stderr.decode()
    answers = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
    for row, answer, (text, tokens) in zip(rows, answers, expected, strict=True):
        assert answer["text"] == text and answer["tokens"] == list(tokens), row
    for row in raising[:3]:
        done = tokenize(longshot_bin, tmp_path, [row])
        assert done.returncode == 2 and b"chat template" in done.stderr, (row, done.stderr)


def today():
    import datetime
    return datetime.date.today().isoformat()


def test_texts_are_the_users_message_unless_raw(longshot_bin, tokenizer, tmp_path):
    tokenizer.chat_template = TEMPLATES["phi-3"]
    tokenizer.save_pretrained(tmp_path)
    row = {"prompt": "What is 3+4?"}
    as_chat = json.loads(tokenize(longshot_bin, tmp_path, [row]).stdout)
    assert as_chat["text"] == "<|user|>\nWhat is 3+4?<|end|>\n<|assistant|>\n"
    raw = json.loads(tokenize(longshot_bin, tmp_path, [row], "--raw").stdout)
    assert raw == {"tokens": tokenizer.encode("What is 3+4?", add_special_tokens=False)}
    text = json.loads(tokenize(longshot_bin, tmp_path, [{"text": "What is 3+4?"}]).stdout)
    assert text == raw
    named = json.loads(tokenize(longshot_bin, tmp_path, [row], "--chat-template", "chatml").stdout)
    assert named["text"].startswith("<|im_start|>user\n")
    open_answer = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "The"}], "continue_final_message": True}
    assert json.loads(tokenize(longshot_bin, tmp_path, [open_answer]).stdout)["text"].endswith("<|assistant|>\nThe")
    wrong = tokenize(longshot_bin, tmp_path, [{"messages": "hi"}])
    assert wrong.returncode == 2 and b"must be a list of messages" in wrong.stderr
