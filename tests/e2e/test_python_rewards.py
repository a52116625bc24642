"""Python, command and HTTP rewards: their inputs, their allowed return values, and verl's own scorers unchanged."""
import http.server
import importlib.util
import json
import pathlib
import subprocess
import sys
import threading

import pyarrow
import pyarrow.parquet
import pytest

from support import longshot

TRUTHS = [["navy", "blue"], {"target": ["navy", "blue"], "n": None}, "[\"navy\", \"blue\"]", "7", 7, 2**80 + 1, 0.5, True]


def grade(rows, reward, code=0):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    done = longshot("grade", "--reward", json.dumps(reward), text_in=text, code=code)
    return [json.loads(line) for line in done.stdout.splitlines()]


def row(completion, truth, **more):
    return {"completion": completion, "ground_truth": truth, **more}


def python(path, **more):
    return {"type": "python", "path": str(path), **more}


def scores(results):
    return [result.get("score", result.get("error")) for result in results]


def test_the_ground_truth_arrives_as_the_row_has_it(tmp_path):
    (tmp_path / "r.py").write_text("""import json
def compute_score(data_source, solution_str, ground_truth, extra_info):
    return {"score": float(json.loads(solution_str) == ground_truth and type(json.loads(solution_str)) is type(ground_truth))}
""")
    rows = [row(json.dumps(truth), truth) for truth in TRUTHS]
    assert scores(grade(rows, python(tmp_path / "r.py"))) == [1] * len(TRUTHS)
    program = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"score": float(json.loads(request["completion"]) == request["ground_truth"])}), flush=True)
"""
    assert scores(grade(rows, {"type": "command", "argv": [sys.executable, "-c", program]})) == [1] * len(TRUTHS)

    class Service(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"score": float(json.loads(request["completion"]) == request["ground_truth"])}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{service.server_port}/"
        assert scores(grade(rows, {"type": "http", "url": url})) == [1] * len(TRUTHS)
    finally:
        service.shutdown()


def test_one_letter_of_a_listed_answer_is_not_right(tmp_path):
    (tmp_path / "r.py").write_text(
        "def compute_score(solution_str, ground_truth, **kwargs):\n    return float(solution_str in ground_truth)\n")
    rows = [row(answer, ["navy", "blue"]) for answer in ("navy", "u", "blue", "")]
    assert scores(grade(rows, python(tmp_path / "r.py"))) == [1, 0, 1, 0]


FORMS = {
    "number": "def compute_score(data_source, solution_str, ground_truth, extra_info=None):\n    return 0.25",
    "keyword only": "def compute_score(*, data_source, solution_str, ground_truth, extra_info):\n    return 0.25",
    "anything": "def compute_score(**kwargs):\n    return 0.25 if set(kwargs) == {'data_source', 'solution_str', 'ground_truth', 'extra_info'} else 1",
    "two": "def compute_score(solution_str, ground_truth, method='strict', score=0.25):\n    return score if method == 'strict' else 1",
    "other names": "def compute_score(model_output: str, ground_truth: str) -> float:\n    return 0.25 if (model_output, ground_truth) == ('c', 'g') else 1",
    "own names": "def compute_score(completion, test_cases, continuous=False):\n    return 0.25 if (completion, test_cases) == ('c', 'g') else 1",
    "own names and more": "def compute_score(predict_str, ground_truth, **kwargs):\n    return 0.25 if predict_str == 'c' else 1",
    "async": "import asyncio\nasync def compute_score(data_source, solution_str, ground_truth, extra_info):\n    await asyncio.sleep(0)\n    return 0.25",
    "async lock": "import asyncio\nlock = None\nasync def compute_score(solution_str, ground_truth):\n    global lock\n    lock = lock or asyncio.Lock()\n    async with lock:\n        await asyncio.sleep(0)\n        return 0.25",
    "dict": "def compute_score(**kwargs):\n    return {'score': 0.25, 'acc': False, 'pred': 'x'}",
    "numpy": "import numpy\ndef compute_score(**kwargs):\n    return numpy.float32(0.25)",
    "numpy dict": "import numpy\ndef compute_score(**kwargs):\n    return {'score': numpy.array([0.25]).sum(), 'acc': numpy.bool_(False)}",
    "tuple": "def compute_score(solution_str, ground_truth):\n    return 0.25, 'details', {}",
    "batch": "def compute_score(data_sources, solution_strs, ground_truths, extra_infos):\n    return [0.25 if s == 'c' else 1 for s in solution_strs]",
    "batch of dicts": "def compute_score(data_sources, solution_strs, ground_truths, extra_infos, **kwargs):\n    return [{'score': 0.25} for _ in solution_strs]",
    "object": "class Grader:\n    def __call__(self, solution_str, ground_truth, extra_info):\n        return 0.25\ncompute_score = Grader()",
    "partial": "import functools\ndef f(score, solution_str, ground_truth):\n    return score\ncompute_score = functools.partial(f, 0.25)",
    "prints": "import sys\nprint('hello')\ndef compute_score(**kwargs):\n    print('{\"score\": 1}')\n    sys.stdout.flush()\n    return 0.25",
    "half a surrogate": "def compute_score(**kwargs):\n    return {'score': 0.25, 'pred': '\\ud83d'}",
    "turns": "def compute_score(extra_info, **kwargs):\n    return 0.25 if extra_info['num_turns'] == 2 and extra_info['rollout_reward_scores'] == {} else 1",
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_functions(tmp_path, form):
    (tmp_path / "r.py").write_text(FORMS[form] + "\n")
    results = grade([row("c", "g"), row("c", "g")], python(tmp_path / "r.py"))
    assert scores(results) == [0.25, 0.25], results
    assert not results[0]["correct"]


OTHER_TOOLS = {
    "trl": """
def compute_score(prompts, completions, answer, level, **kwargs):
    assert kwargs["solution"] == answer and len(prompts) == len(completions) == 1
    return [float(len(c) == 3) / 4 * (l == 2) for c, l in zip(completions, level)]
""",
    "trl, async, without columns": """
async def compute_score(completions, **kwargs):
    return [0.25 if c == "abc" else 1 for c in completions]
""",
    "verifiers": """
def compute_score(parser, completion, answer, state, info):
    right = parser.parse_answer(completion) == "abc" and answer == "g" and state["answer"] == "g"
    return 0.25 if right and info["level"] == 2 else 1
""",
    "verifiers' rubric": """
import functools
class Rubric:
    def __init__(self, funcs, weights):
        self.funcs, self.weights = funcs, weights
async def correct(completion, answer, **kwargs):
    return 1.0
def of(letter):
    def has(completion, **kwargs):
        return float(letter in completion)
    return has
def ends(end, completion):
    return float(completion.endswith(end))
compute_score = Rubric([correct, of("b"), of("x"), functools.partial(ends, "c")], [0.125, 0.0625, 0.5, 0.0625])
""",
    "openenv, rows with its names": """
class compute_score:
    def forward(self, action, observation):
        return 0.25 if observation.reward is None and observation.done is True and observation.metadata["reward"] == 3 else 1
    def __call__(self, action, observation):
        return self.forward(action, observation)
""",
    "openenv": """
class Child:
    last_score = 0.5
class compute_score:
    def forward(self, action, observation):
        return 0.25 if action.message == "abc" and observation.answer == "g" and observation.metadata["level"] == 2 else 1
    def __call__(self, action, observation):
        return self.forward(action, observation)
    def named_rubrics(self):
        return [("", self), ("child", Child())]
""",
}


@pytest.mark.parametrize("form", OTHER_TOOLS)
def test_functions_of_other_tools(tmp_path, form):
    (tmp_path / "r.py").write_text(OTHER_TOOLS[form])
    results = grade([row("abc", "g", extra_info={"level": 2, "reward": 3, "done": False})] * 2, python(tmp_path / "r.py"))
    assert scores(results) == [0.25, 0.25], results
    if form == "openenv":
        assert results[0]["components"] == {"python": 0.25, "child": 0.5}
    if form == "verifiers' rubric":
        assert results[0]["components"] == {"python": 0.25, "correct_reward": 1, "has": 1, "has#2": 0, "partial": 1}


def test_chats_arrive_as_messages(tmp_path):
    (tmp_path / "trl.py").write_text("""
def compute_score(prompts, completions, **kwargs):
    assert prompts[0][-1] == {"role": "user", "content": "q"}, prompts
    return [1.0 if c[0]["content"] == "abc" and c[0]["role"] == "assistant" else 0.0 for c in completions]
""")
    (tmp_path / "verifiers.py").write_text("""
def compute_score(prompt, completion, answer):
    return float(completion[-1]["content"] == "abc" and prompt[0]["role"] == "user")
""")
    chat = row("abc", "g", prompt=[{"role": "user", "content": "q"}])
    for name in ("trl", "verifiers"):
        assert scores(grade([chat], python(tmp_path / f"{name}.py"))) == [1], name


def test_a_reward_may_say_nothing_of_a_sample(tmp_path):
    (tmp_path / "some.py").write_text(
        "def compute_score(completions, kind, **kwargs):\n    return [None if k == 'other' else 1.0 for k in kind]\n")
    (tmp_path / "half.py").write_text("def compute_score(solution_str):\n    return 0.5\n")
    rows = [row("a", "g", extra_info={"kind": kind}) for kind in ("mine", "other")]
    text = "".join(json.dumps(r) + "\n" for r in rows)
    both = longshot("grade", "--reward", json.dumps(python(tmp_path / "some.py")), json.dumps(python(tmp_path / "half.py")),
                    text_in=text)
    assert [json.loads(line)["score"] for line in both.stdout.splitlines()] == [1.5, 0.5]
    results = grade(rows, python(tmp_path / "some.py"))
    assert results[0]["score"] == 1 and "no reward applies" in results[1]["error"]


def test_columns_outside_extra_info_arrive_and_the_answer_has_any_of_its_names(tmp_path):
    (tmp_path / "r.py").write_text("""
def compute_score(prompts, completions, answer, level, solution, **kwargs):
    assert "completion" not in kwargs and "extra_info" not in kwargs
    return [float(a == c) * l for a, c, l in zip(answer, completions, level)]
""")
    reward = python(tmp_path / "r.py")
    for name in ("answer", "solution", "ground_truth"):
        assert scores(grade([{"prompt": "p", "completion": "c", name: "c", "level": 2}], reward)) == [2]
    assert scores(grade([{"completion": "c", "reward_model": {"ground_truth": "c"}, "level": 3}], reward)) == [3]


def test_a_function_of_completions_must_return_a_list(tmp_path):
    (tmp_path / "r.py").write_text("def compute_score(completions, **kwargs):\n    return 1.0\n")
    (result,) = grade([row("c", "g")], python(tmp_path / "r.py"), code=2)
    assert "a list with one score for each, not 1.0" in result["error"]


def test_a_column_that_a_row_does_not_have_is_named(tmp_path):
    (tmp_path / "r.py").write_text("def compute_score(completions, difficulty):\n    return [1.0]\n")
    (result,) = grade([row("c", "g")], python(tmp_path / "r.py"), code=2)
    assert "no column difficulty" in result["error"] and "ground_truth" in result["error"]


@pytest.mark.parametrize("value, message", [("None", "None"), ("float('nan')", "nan"), ("{'acc': True}", "score"),
                                            ("'yes'", "yes"), ("[]", "IndexError"), ("{'score': None}", "None")])
def test_what_is_no_score_is_an_error(tmp_path, value, message):
    (tmp_path / "r.py").write_text(f"def compute_score(**kwargs):\n    return {value}\n")
    (result,) = grade([row("c", "g")], python(tmp_path / "r.py"), code=2)
    assert message in result["error"], result


def test_reward_kwargs_and_other_columns(tmp_path):
    (tmp_path / "r.py").write_text("""
def compute_score(data_source, solution_str, ground_truth, extra_info, bonus=0.0, names=()):
    return bonus + extra_info["level"] + len(names)
""")
    reward = python(tmp_path / "r.py", reward_kwargs={"bonus": 0.5, "names": ["a", "b"]})
    assert scores(grade([row("c", "g", extra_info={"level": 3})], reward)) == [5.5]


def test_further_figures_are_kept(tmp_path):
    (tmp_path / "r.py").write_text("""
import numpy
def compute_score(**kwargs):
    return {"score": 1, "pairs": 3, "share": numpy.float64(0.5), "cut": True, "why": "text", "seconds": 4, "none": None}
""")
    (result,) = grade([row("c", "g")], python(tmp_path / "r.py"))
    assert result["components"] == {"python": 1, "pairs": 3, "share": 0.5, "cut": 1, "python/seconds": 4}


def test_values_per_step_are_kept(tmp_path):
    (tmp_path / "r.py").write_text("""
import numpy
def compute_score(solution_str):
    ends = [i + 1 for i, c in enumerate(solution_str) if c == "." or i + 1 == len(solution_str)]
    return {"score": 1, "step_values": [{"end": end, "value": 1 / (n + 1)} for n, end in enumerate(numpy.array(ends))]}
""")
    (result,) = grade([row("Zwei größer. Ja", "g")], python(tmp_path / "r.py"))
    assert result["step_values"] == {"python": [{"end": 12, "value": 1.0}, {"end": 15, "value": 0.5}]}
    assert result["score"] == 1 and "components" not in result
    (tmp_path / "late.py").write_text("""
def compute_score(solution_str):
    return {"score": 1, "step_values": [{"end": len(solution_str.encode()), "value": 1}]}
""")
    (result,) = grade([row("größer", "g"), row("groesser", "g")], python(tmp_path / "late.py"))[:1]
    assert "the last step ends at character 8, but the completion has 6" in result["error"]


def test_files_inside_packages(tmp_path):
    inner = tmp_path / "outer" / "scorers"
    inner.mkdir(parents=True)
    (tmp_path / "outer" / "__init__.py").write_text("import not_installed_anywhere\n")
    (tmp_path / "outer" / "tools.py").write_text("VALUE = 0.25\n")
    (inner / "__init__.py").write_text("")
    (inner / "random.py").write_text("raise RuntimeError('shadows the standard library')\n")
    (inner / "helper.py").write_text("from outer.tools import VALUE\n")
    (inner / "scorer.py").write_text("""
import concurrent.futures, multiprocessing, random
from . import helper
def work(x):
    return x
def compute_score(solution_str, ground_truth):
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, helper.VALUE).result()
""")
    assert scores(grade([row("c", "g")], python(inner / "scorer.py"))) == [0.25]
    (tmp_path / "outer" / "__init__.py").write_text("FACTOR = 2\n")
    (inner / "__init__.py").write_text("""
from outer import FACTOR
from .helper import VALUE
def compute_score(solution_str, ground_truth):
    return FACTOR * VALUE
""")
    assert scores(grade([row("c", "g")], python(inner / "__init__.py"))) == [0.5]
    environment = {"PYTHONPATH": str(tmp_path)}
    assert scores(grade([row("c", "g")], python("pkg://outer.scorers", environment=environment))) == [0.5]


def test_a_json_string_of_a_parquet_row_stays_a_string(tmp_path):
    (tmp_path / "r.py").write_text("""
def compute_score(data_source, solution_str, ground_truth, extra_info):
    return float(ground_truth == '["navy"]') + 2 * float(ground_truth == {"target": ["navy"]})
""")
    model = tmp_path / "model"
    for truth, expected in (('["navy"]', 1.0), ({"target": ["navy"]}, 2.0)):
        rows = [{"data_source": "d", "prompt": [{"role": "user", "content": f"1+{i}="}],
                 "reward_model": {"style": "rule", "ground_truth": truth}, "extra_info": {"index": i}} for i in range(2)]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
        if not model.exists():
            from support import tiny_model
            model = tiny_model(tmp_path / "tiny", steps=5)[0] if (tmp_path / "tiny").mkdir() is None else model
        longshot("eval", "--model", model, "--data", tmp_path / "rows.parquet", "--max-tokens", 4, "--reward",
                 json.dumps(python(tmp_path / "r.py")), "--samples", tmp_path / "s.jsonl")
        samples = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
        assert samples and all(sample["score"] == expected for sample in samples), samples[:1]


VERL = pathlib.Path(importlib.util.find_spec("verl").origin).parent
PROGRAM = "```python\nn = int(input())\nprint(n * 2)\n```"
WRONG_PROGRAM = "```python\nprint(2)\n```"
CASES = {"inputs": ["1\n", "2\n"], "outputs": ["2\n", "4\n"]}
TOOL = '<think>t</think>\n<tool_call>\n{"name": "f", "parameters": {"x": %d}}\n</tool_call>'
QWEN = {"experiment_name": "qwen"}
BOXES = [(r"so \boxed{\frac{1}{2}}", r"\frac12"), (r"\boxed{0.5}", r"\frac{1}{2}"), (r"\boxed{3}", "2"), ("it is 2", "2"),
         (r"\boxed{1} then \boxed{2}", "2"), (r"\boxed{\sqrt{12}}", r"2\sqrt{3}"), ("", "2"), (r"\boxed{x+1}", "1+x")]
# Each file that needs no network: its function, then answers with their ground truths and, where they matter, data
# source and extra_info. KWARGS are further arguments.
KWARGS = {"prime_code/__init__.py": {"continuous": True}}  # without it verl's function fails for a wrong program
SCORERS = {
    "gsm8k.py": ("compute_score", [("so #### 72", "72"), ("so #### 71", "72"), ("72", "72"), ("#### 1,234", "1234"), ("", "7"),
                                   ("#### 7\n#### 8", "8")]),
    "math_reward.py": ("compute_score", BOXES),
    "math_dapo.py": ("compute_score", [("Answer: 34", "34"), ("Answer: 3", "34"), ("34", "34"), ("Answer: $34$", "34"),
                                       ("Answer: 1\nAnswer: 34", "34"), (r"\boxed{34}", "34")]),
    "math_verify.py": ("compute_score", [(r"\boxed{0.5}", "1/2"), (r"\boxed{0.25}", "1/2"), (r"\boxed{x+1}", "1+x"), ("", "1")]),
    "math_batch.py": ("compute_score_batched", BOXES),
    "geo3k.py": ("compute_score", [(r"<think>t</think> \boxed{7}", "7"), (r"\boxed{7}", "7"), (r"<think>t</think> \boxed{8}", "7")]),
    "prime_math/__init__.py": ("compute_score", BOXES + [(r"Step 2: \boxed{\pi}", r"\pi")]),
    "prime_code/__init__.py": ("compute_score", [(PROGRAM, json.dumps(CASES)), (PROGRAM, CASES), (WRONG_PROGRAM, json.dumps(CASES))]),
    "search_r1_like_qa_em.py": ("compute_score", [
        ("<answer>a</answer><answer>Navy</answer>", {"target": ["navy", "blue"]}),
        ("<answer>a</answer><answer>u</answer>", {"target": ["navy", "blue"]}),
        ("<answer>a</answer><answer>the blue</answer>", {"target": "Blue"}), ("blue", {"target": ["blue"]})]),
    "rlla.py": ("compute_score", [("<|im_start|>assistant" + TOOL % 1 + "<|im_end|>", TOOL % 1, "d", QWEN), (TOOL % 2, TOOL % 1, "d", QWEN),
                                  ("<think>t</think>\n<response>r</response>", TOOL % 1, "d", QWEN), ("", TOOL % 1, "d", QWEN)]),
    "__init__.py": ("default_compute_score", [
        ("so #### 72", "72", "openai/gsm8k"), (r"\boxed{2}", "2", "lighteval/MATH"), (r"\boxed{2}", "3", "HuggingFaceH4/MATH-500"),
        ("Answer: 34", "34", "aime24"), ("Answer: 35", "34", "math_dapo"), (r"\boxed{34}", "34", "numina_olympiads"),
        (PROGRAM, json.dumps(CASES), "apps"), (WRONG_PROGRAM, json.dumps(CASES), "taco"),
        (r"<think>t</think> \boxed{7}", "7", "hiyouga/geometry3k"), ("<answer>a</answer><answer>blue</answer>", {"target": ["blue"]}, "searchR1_nq")]),
}
# Calls the file directly. The packages above it are not run: they import much that the scorers do not need.
DIRECTLY = """
import importlib, json, sys, types
for package, path in (("verl", ROOT), ("verl.utils", ROOT + "/utils")):
    sys.modules[package] = types.ModuleType(package)
    sys.modules[package].__path__ = [path]

def value_of(function, solution, truth, source, extra):
    if function.__name__ == "compute_score_batched":
        return function([source], [solution], [truth], [extra])[0]
    if function.__name__ == "default_compute_score" or function.__module__.endswith("rlla"):
        return function(source, solution, truth, extra)
    return function(solution, truth, **kwargs)

def score_of(value):
    value = value[0] if isinstance(value, (tuple, list)) else value
    return float(value["score"] if isinstance(value, dict) else value)

if __name__ == "__main__":
    module, name, cases, kwargs = json.loads(sys.stdin.read())
    function = getattr(importlib.import_module(module), name)
    out, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps([score_of(value_of(function, *case)) for case in cases]), file=out)
"""


@pytest.mark.parametrize("file", SCORERS)
def test_verls_own_scorers_run_unchanged(file, tmp_path):
    function, cases = SCORERS[file]
    kwargs = KWARGS.get(file, {})
    whole = [(*case, *("d", {})[len(case) - 2:]) for case in cases]
    module = "verl.utils.reward_score" + ("." + file.removesuffix(".py").replace("/", ".")).removesuffix(".__init__")
    program = tmp_path / "directly.py"
    program.write_text(DIRECTLY.replace("ROOT", repr(str(VERL))))
    done = subprocess.run([sys.executable, "-B", str(program)], input=json.dumps([module, function, whole, kwargs]),
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [row(solution, truth, data_source=source, extra_info=extra) for solution, truth, source, extra in whole]
    theirs = json.loads(done.stdout)
    assert len(set(theirs)) > 1, "cases that all get the same score would show little"
    assert scores(grade(rows, python(VERL / "utils" / "reward_score" / file, function=function, reward_kwargs=kwargs))) == theirs
