"""The interpreter of chat templates compared with Jinja2 as configured by transformers: templates with the constructs of
published models' templates over many chats, and random templates."""

import copy
import datetime
import json
import random
import subprocess

import pytest

import random_templates
from published_templates import TEMPLATES

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
TOOL = {"type": "function", "function": {
    "name": "weather", "description": "The wéather <now>.", "parameters": {
        "type": "object", "required": ["city"], "properties": {
            "city": {"type": "string", "description": "A \"city\"", "default": "Köln"}, "days": {"type": ["integer", "null"], "default": 3},
            "units": {"type": "string", "enum": ["C", "F"]}, "tags": {"type": "array", "items": {"type": "string"}},
            "range": {"type": "object", "properties": {"low": {"type": "number"}, "high": {"type": "number"}}, "required": ["low"]}}}}}


def message(role, content, **more):
    return {"role": role, "content": content, **more}


def call(arguments, name="weather"):
    return [{"id": "abcdefghi", "type": "function", "function": {"name": name, "arguments": arguments}}]


USER, THOUGHT = message("user", "What is 3+4?"), "<think>\n3 and 4\n</think>\n\n7"
CHATS = {
    "user": [USER],
    "padded": [message("user", "  Hi \n")],
    "system": [message("system", " Be brief.\n"), USER],
    "turns": [USER, message("assistant", "7"), message("user", "And 5+6?")],
    "finished": [message("system", "S"), USER, message("assistant", "7 ")],
    "thoughts": [USER, message("assistant", THOUGHT), message("user", "More"), message("assistant", THOUGHT)],
    "reasoning": [USER, message("assistant", "7", reasoning_content="3 and 4", thinking="3 and 4")],
    "empty": [message("user", ""), message("assistant", "")],
    "unicode": [message("user", "Größe 你好 😀 \u2028 e\u0301 \x7f"), message("assistant", "\\n 'a' \"b\" <|im_end|> {{ x }}\r\n")],
    "two users": [message("user", "a"), message("user", "b")],
    "assistant first": [message("assistant", "a"), USER],
    "tools": [message("system", "S"), USER, message("assistant", "", tool_calls=call({"city": "Zürich", "days": 2.0, "z": [None, True]})),
              message("tool", "{\"t\": 21}", name="weather"), message("assistant", "21"), message("user", "Thanks")],
    "tool answers": [USER, message("assistant", "ok", tool_calls=call("{\"a\": 1}") + call({}, "other")), message("tool", "1"), message("tool", "2")],
    "parts": [message("user", [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}])],
    "parts of all": [message("system", [{"type": "text", "text": " S "}]), message("user", [{"type": "text", "text": "a\n"}]),
                     message("assistant", [{"text": "b", "type": "text"}]), message("user", "c")],
    "no content": [USER, {"role": "assistant", "tool_calls": call({"b": 1, "a": 2})}],
}
ARGUMENTS = [{}, {"enable_thinking": False, "thinking": True}, {"documents": [{"title": "T", "text": "x"}], "reasoning_effort": "high"}]


@pytest.fixture(scope="session")
def jinja(longshot_bin):
    def answers(requests):
        lines = "".join(json.dumps(request) + "\n" for request in requests)
        done = subprocess.run([longshot_bin.parent / "jinja_probe"], input=lines.encode(), stdout=subprocess.PIPE, check=True, timeout=300)
        return [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
    return answers


def transformers_text(template, chat, **arguments):
    """Returns the text, or None if the template raises."""
    from transformers.utils import chat_template_utils
    try:
        rendered, _ = chat_template_utils.render_jinja_template([copy.deepcopy(chat)], chat_template=template, **arguments)
    except Exception:
        return None
    return rendered[0]


@pytest.mark.parametrize("name", TEMPLATES)
def test_published_constructs_equal_jinja(name, jinja):
    requests, expected = [], []
    now = datetime.datetime.now().replace(hour=12)
    for chat in CHATS.values():
        for prompt in (True, False):
            for tools in (None, [TOOL]):
                for more in ARGUMENTS:
                    arguments = {**TOKENS, "add_generation_prompt": prompt, "tools": tools, "documents": None, **more}
                    expected.append(transformers_text(TEMPLATES[name], chat, **arguments))
                    requests.append({"template": TEMPLATES[name], "now": int(now.timestamp()), "variables": {"messages": chat, **arguments}})
    answers = jinja(requests)
    assert len(answers) == len(expected) == len(CHATS) * 12
    for request, answer, text in zip(requests, answers, expected):
        assert answer.get("text") == text, (request["variables"], answer)
    rendered = [chat for i, chat in enumerate(CHATS) if any(text is not None for text in expected[12 * i:12 * i + 12])]
    assert len(rendered) >= 8, rendered


def test_the_kinds_are_many_and_different():
    assert len(TEMPLATES) >= 70
    assert len(set(TEMPLATES.values())) == len(TEMPLATES)


def test_random_templates_equal_jinja(jinja, longshot_bin):
    counts, differences = random_templates.compare(longshot_bin.parent / "jinja_probe", 3000, 20)
    print(dict(counts))
    assert counts["renders"] > 400
    assert not differences, json.dumps(differences[:3], ensure_ascii=False, indent=1)


def test_every_operation_on_markup_equals_jinja(longshot_bin):
    counts, differences = random_templates.compare_all(longshot_bin.parent / "jinja_probe", random_templates.markup_templates())
    print(dict(counts))
    assert counts["renders"] > 1500
    assert not differences, json.dumps(differences[:3], ensure_ascii=False, indent=1)


def test_generation_marks_are_those_of_transformers(jinja):
    from transformers.utils import chat_template_utils
    for name in ("generation-marks",):
        for chat in (CHATS["turns"], CHATS["thoughts"], CHATS["unicode"]):
            (text,), (spans,) = chat_template_utils.render_jinja_template([copy.deepcopy(chat)], chat_template=TEMPLATES[name],
                                                                          return_assistant_tokens_mask=True, **TOKENS)
            (answer,) = jinja([{"template": TEMPLATES[name], "variables": {"messages": chat, **TOKENS}}])
            ours = answer["text"].encode()
            assert answer["text"] == text and len(spans) > 0
            assert [ours[b:e].decode() for b, e in answer["spans"]] == [text[b:e] for b, e in spans]


def test_damaged_templates_end_in_a_text_or_an_error(jinja):
    rng = random.Random(5)
    requests = []
    for template in list(TEMPLATES.values()) * 20:
        damaged = list(template)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(damaged))
            damaged[at:at + rng.randint(0, 6)] = rng.choice(["", "{", "%}", "}}", "{{", "(", ")", "'", "|", ".", "[", "é", "{% endif %}", "-%}"])
        requests.append({"template": "".join(damaged), "variables": {"messages": CHATS["tools"], "tools": [TOOL], **TOKENS}})
    assert all(("text" in answer) != ("error" in answer) for answer in jinja(requests))
