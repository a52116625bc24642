"""Chat templates from a user's view: prompts that are texts, in every command, and templates that raise."""
import json
import re
import shutil

import pytest

from support import longshot, tiny_model

CHAT = "{% for m in messages %}{{ '#' if m.role == 'assistant' }}{{ m.content }}{% endfor %}{{ '#' if add_generation_prompt }}"
SAID = "prompts are plain text and become the user's message"


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("templates")
    plain, data = tiny_model(root, steps=20)
    model = root / "chat"
    shutil.copytree(plain, model)
    (model / "chat_template.jinja").write_text(CHAT)
    (root / "rows.jsonl").write_text("".join(json.dumps({"prompt": f"{n}+1=", "answer": str(n + 1)}) + "\n" for n in range(4)))
    (root / "pairs.jsonl").write_text("".join(json.dumps({"prompt": f"{n}+1=", "completion": str(n + 1)}) + "\n" for n in range(4)))
    return root, plain, model, data


def settings(root, model):
    (root / "empty.toml").write_text("")
    return [root / "empty.toml", f"model.path={model}", f'data.train_files=["{root}/rows.jsonl"]', "data.train_batch_size=2", "algorithm.mini_batches=1", "rollout.n=2",
            "data.max_prompt_length=24", "data.max_response_length=8", f"trainer.default_local_dir={root}/run", "trainer.test_freq=0"]


def train(root, model, *more, code=0):
    return longshot("train", *settings(root, model), "--dry-run", *more, code=code)


def test_train_says_that_texts_become_messages_and_shows_one(setting):
    root, plain, model, _ = setting
    done = train(root, model)
    assert f"4 of 4 {SAID}" in done.stderr and "+1=#" in done.stdout + done.stderr
    raw = train(root, model, "data.apply_chat_template=false")
    assert SAID not in raw.stderr and "+1=#" not in raw.stdout + raw.stderr
    assert SAID not in train(root, plain).stderr


def test_an_option_for_texts_has_no_effect_on_chats(setting):
    root, plain, model, _ = setting
    chats = root / "chats.jsonl"
    chats.write_text(json.dumps({"prompt": [{"role": "user", "content": "1+1="}], "answer": "2"}) + "\n")
    evaluate = ["eval", "--data", chats, "--max-tokens", 4, "--reward", '{"type":"exact"}', "--model"]
    words = "(--raw) has no effect: none of the 1 rows has a prompt that is a text"
    assert words in longshot(*evaluate, model, "--raw").stderr
    assert words not in longshot(*evaluate, model).stderr + longshot(*evaluate, plain, "--raw").stderr


def test_a_system_message_makes_chats_of_texts_which_are_counted_as_texts(setting):
    root, _, model, _ = setting
    done = train(root, model, "data.system_prompt='0'")
    assert f"4 of 4 {SAID}" in done.stderr and re.search(r"\n0\d\+1=#\n", done.stderr), done.stderr
    evaluate = ["eval", "--model", model, "--data", root / "rows.jsonl", "--max-tokens", 4, "--reward", '{"type":"exact"}']
    assert f"4 of 4 {SAID}" in longshot(*evaluate, "--system", "0").stderr
    sample = ["sample", root / "rows.jsonl", "--model", model, "--max-tokens", 4, "--no-judge", "--dry-run", "--out", root / "sampled"]
    assert f"4 of 4 {SAID}" in longshot(*sample, "--system", "0").stderr


def test_texts_that_stay_as_they_are_get_no_system_message(setting):
    root, _, model, _ = setting
    rows = root / "rows.jsonl"
    refused = [train(root, model, "data.system_prompt='0'", "data.apply_chat_template=false", code=2)]
    for command in (["eval", "--data", rows, "--reward", '{"type":"exact"}'], ["generate", "--input", rows], ["generate", "--prompt", "1+1="],
                    ["sample", rows, "--out", root / "refused"]):
        refused.append(longshot(*command, "--model", model, "--max-tokens", 4, "--raw", "--system", "0", code=2))
    for done in refused:
        assert "data.system_prompt (--system)" in done.stderr and "data.apply_chat_template=false (--raw)" in done.stderr
        assert "leave out one of the two" in done.stderr and "plain text" not in done.stderr
    assert not (root / "refused").exists()


def test_a_server_of_chats_cannot_be_asked_raw(setting):
    root, _, _, _ = setting
    sample = ["sample", root / "rows.jsonl", "--url", "http://127.0.0.1:1/v1", "--raw", "--dry-run", "--out", root / "served"]
    assert "--raw needs --api completions" in longshot(*sample, code=2).stderr
    assert "first request:\n0+1=\n" in longshot(*sample, "--api", "completions").stdout


def test_eval_generate_and_sft_follow_the_same_rule(setting):
    root, plain, model, _ = setting
    rows, pairs = root / "rows.jsonl", root / "pairs.jsonl"
    evaluate = ["eval", "--data", rows, "--max-tokens", 4, "--reward", '{"type":"exact"}', "--model"]
    assert SAID in longshot(*evaluate, model).stderr
    assert SAID not in longshot(*evaluate, model, "--raw").stderr + longshot(*evaluate, plain).stderr
    generate = ["generate", "--input", rows, "--max-tokens", 4, "--temperature", 0, "--model"]
    said = longshot(*generate, model)
    assert SAID in said.stderr
    # A raw prompt that contains the template's text is the same prompt.
    one = root / "one.jsonl"
    one.write_text(json.dumps({"prompt": "0+1=#"}) + "\n")
    raw = longshot("generate", "--input", one, "--max-tokens", 4, "--temperature", 0, "--raw", "--model", model)
    assert SAID not in raw.stderr
    assert json.loads(said.stdout.splitlines()[0])["completions"] == json.loads(raw.stdout)["completions"]
    (root / "empty.toml").write_text("")
    sft = ["sft", root / "empty.toml", f'data.train_files=["{pairs}"]', "trainer.total_steps=1", "trainer.test_freq=0", f"trainer.default_local_dir={root}/sft2", "--dry-run"]
    assert SAID in longshot(*sft, f"model.path={model}").stderr
    assert SAID not in longshot(*sft, f"model.path={model}", "data.apply_chat_template=false").stderr


def test_samples_show_the_prompt_that_the_model_saw(setting, tmp_path):
    root, _, model, _ = setting
    marked = tmp_path / "marked.jinja"
    marked.write_text("{% for m in messages %}<eos>{{ m.content }}{% endfor %}{{ '#' if add_generation_prompt }}")
    seen = {f"<eos>{n}+1=#" for n in range(4)}

    def prompts(path):
        return {json.loads(line)["prompt"] for line in path.read_text().splitlines()}

    longshot("eval", "--model", model, "--chat-template", marked, "--data", root / "rows.jsonl", "--max-tokens", 4, "--reward", '{"type":"exact"}',
             "--samples", tmp_path / "evaluated.jsonl")
    assert prompts(tmp_path / "evaluated.jsonl") == seen
    longshot("train", *settings(root, model), f"model.chat_template={marked}", f'data.val_files=["{root}/rows.jsonl"]', "trainer.test_freq=1",
             "trainer.total_iterations=1", 'reward.functions=[{type="exact"}]', f"trainer.default_local_dir={tmp_path}/run")
    trained = prompts(tmp_path / "run/samples/samples_000001.jsonl")
    assert len(trained) == 2 and trained < seen
    assert prompts(tmp_path / "run/samples/held_out_000001.jsonl") == seen
    events = b"".join(file.read_bytes() for file in (tmp_path / "run/tensorboard").iterdir())
    assert b"<eos>0+1=#" in events and b"user: " not in events
    page = longshot("report", tmp_path / "run", "-o", "-").stdout
    assert "eos>0+1=#" in page and "user: 0" not in page


def test_what_a_template_raises_names_row_and_line(setting):
    root, _, model, _ = setting
    broken = root / "broken"
    shutil.copytree(model, broken)
    (broken / "chat_template.jinja").write_text("{{ 1 }}\n{{ raise_exception('no users here') }}")
    done = longshot("generate", "--input", root / "rows.jsonl", "--model", broken, code=2)
    assert "rows.jsonl:1" in done.stderr and "line 2 of the chat template" in done.stderr
    assert "no users here" in done.stderr
    (broken / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content | shout }}{% endfor %}")
    done = longshot("tokenize", "--model", broken, text_in='{"prompt": "1+1="}\n', code=2)
    assert "No filter named 'shout'" in done.stderr and "<stdin>:1" in done.stderr
    done = longshot("tokenize", "--model", model, "--chat-template", "nothing", text_in='{"prompt": "1+1="}\n', code=2)
    assert "supported: chatml" in done.stderr
