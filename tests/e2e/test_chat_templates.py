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


def offline(root, model, command, row, *more, code=0):
    rows = root / f"{command}.jsonl"
    rows.write_text(json.dumps(row) + "\n")
    (root / "empty.toml").write_text("")
    return longshot(command, root / "empty.toml", f"model.path={model}", f'data.train_files=["{rows}"]', "trainer.total_steps=1", "trainer.test_freq=0",
                    f"trainer.default_local_dir={root}/never", *more, code=code)


def test_every_command_that_says_it_advises_only_what_it_has(setting):
    root, _, model, _ = setting
    rows, pairs = root / "rows.jsonl", root / "pairs.jsonl"
    said = {"eval": longshot("eval", "--model", model, "--data", rows, "--max-tokens", 4, "--reward", '{"type":"exact"}'),
            "generate": longshot("generate", "--model", model, "--input", rows, "--max-tokens", 4),
            "sample": longshot("sample", rows, "--model", model, "--max-tokens", 4, "--no-judge", "--dry-run", "--out", root / "advised"),
            "data inspect": longshot("data", "inspect", rows, "--model", model),
            "data inspect ": longshot("data", "inspect", pairs, "--model", model),
            "train": train(root, model), **{command: offline(root, model, command, ROWS[command], "--dry-run") for command in ("sft", "dpo")}}
    for command, done in said.items():
        words = re.search(f"{SAID}(.*)", done.stderr)
        assert words, (command, done.stderr)
        if command in ("train", "sft", "dpo"):
            has_option = "apply_chat_template" in done.stdout  # the whole configuration
        else:
            has_option = "--raw" in longshot(*command.split(), "--help").stdout
        assert ("(--raw)" in words[1]) == has_option == (not command.startswith("data inspect")), (command, words[0])
    # Its problems are chats before the model sees them.
    curated = longshot("curate", rows, "--model", model, "--max-tokens", 4, "--set", "hackable.enabled=false", "--set",
                       "duplicates.enabled=false", "--out", root / "curated")
    assert SAID not in curated.stderr


def token_rows(text):
    return [(figure, json.loads(piece)) for figure, piece in re.findall(r'^ *\d+ +(yes|here|) *("(?:[^"\\]|\\.)*")$', text, re.M)]


ROWS = {"sft": {"prompt": "0+1=", "completion": "1"}, "dpo": {"prompt": "0+1=", "chosen": "1", "rejected": "12"},
        "rm": {"prompt": "0+1=", "completion": "1", "label": 0.25}}


def test_a_dry_run_shows_the_first_row_and_what_is_trained_on(setting):
    root, _, model, _ = setting
    log = offline(root, model, "sft", ROWS["sft"], "--dry-run").stderr
    assert "the first row as the model sees it (7 tokens; the 2 between « and » are trained on):\n0+1=#«1<eos>»\n" in log
    assert "tokens of the first row" not in log
    raw = offline(root, model, "sft", ROWS["sft"], "--dry-run", "data.apply_chat_template=false").stderr
    assert "(6 tokens; the 2 between « and » are trained on):\n0+1=«1<eos>»\n" in raw
    chat = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}]
    assert "1#«2»3#«4<eos>»\n" in offline(root, model, "sft", {"messages": chat}, "--dry-run").stderr
    log = offline(root, model, "dpo", ROWS["dpo"], "--dry-run").stderr
    assert "the first row with its chosen response as the model sees it (7 tokens; the 2 between « and » are trained on):\n0+1=#«1<eos>»\n" in log
    assert "the first row with its rejected response as the model sees it (8 tokens; the 3 between « and » are trained on):\n0+1=#«12<eos>»\n" in log
    log = offline(root, model, "rm", ROWS["rm"], "--dry-run").stderr
    assert "the first row (label 0.25) as the model sees it (6 tokens; the score is read at the last one):\n0+1=#1\n" in log
    log = offline(root, model, "rm", ROWS["dpo"], "--dry-run").stderr
    assert "chosen response as the model sees it (6 tokens; the score is read at the last one):\n0+1=#1\n" in log and "\n0+1=#12\n" in log
    assert not (root / "never").exists()


def test_a_dry_run_shows_the_first_row_token_by_token(setting):
    root, _, model, _ = setting
    prompt = [("", piece) for piece in "0+1=#"]
    log = offline(root, model, "sft", ROWS["sft"], "--dry-run", "--show-tokens").stderr
    assert "tokens of the first row:\n      id    trained  text\n" in log
    assert token_rows(log) == [*prompt, ("yes", "1"), ("yes", "<eos>")]
    log = offline(root, model, "dpo", ROWS["dpo"], "--dry-run", "--show-tokens").stderr
    chosen, rejected = log.split("tokens of the first row with its rejected response:\n")
    assert token_rows(chosen) == [*prompt, ("yes", "1"), ("yes", "<eos>")]
    assert token_rows(rejected) == [*prompt, ("yes", "1"), ("yes", "2"), ("yes", "<eos>")]
    log = offline(root, model, "rm", ROWS["rm"], "--dry-run", "--show-tokens").stderr
    assert "      id      score  text\n" in log and token_rows(log) == [*prompt, ("here", "1")]
    for command, row in ROWS.items():
        assert "--show-tokens is a part of --dry-run" in offline(root, model, command, row, "--show-tokens", code=2).stderr


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
