"""`longshot grade` compared with the math-verify package, and with manual verdicts where the two may differ."""

import json
import pathlib
import random
import sys
import time

import pytest
from math_verify import parse, verify

# (truth, answer) that only algebra can decide; the verdicts are math-verify's.
SYMBOLIC = r"""
a^2-4|(a+2)(a-2) a^2-4|(a-2)^2 x^2+2x+1|(x+1)^2 x^2+2x+1|(x-1)^2 \frac{x+2}{7}|\frac{x}{7}+\frac{2}{7}
\frac{1}{x-1}-\frac{1}{x+1}|\frac{2}{x^2-1} \frac{1}{x-1}-\frac{1}{x+1}|\frac{2}{x^2+1} \sqrt{12}|2\sqrt{3} \sqrt{12}|3\sqrt{2}
\frac{1}{\sqrt{2}}|\frac{\sqrt{2}}{2} \frac{1}{\sqrt{2}}|\sqrt{2} 1+\sqrt{2}|\sqrt{3+2\sqrt{2}} 1+\sqrt{2}|\sqrt{3-2\sqrt{2}}
\tan^2(y)+1|\sec^2(y) \tan^2(y)-1|\sec^2(y) \sin(2x)|2\sin(x)\cos(x) \sin(2x)|2\sin(x) 2^{n+1}|2\cdot2^{n} 2^{n+1}|2^{n}+1
\ln(8)|3\ln(2) \ln(8)|2\ln(3) \sqrt{x^2}|x \ln(x^2)|2\ln(x) \{1,3\}\cup\{2,4\}|\{1,2,3,4\} \{1,3\}\cup\{2,4\}|\{1,2,3\}
(2,12)\cup(12,102)|(12,102)\cup(2,12) (2,12)\cup(12,102)|(2,102) 2x+4y-3=0|y=-\frac{1}{2}x+\frac{3}{4} 2x+4y-3=0|y=\frac{1}{2}x+\frac{3}{4}
x<1|-x>-1 x<1|-x<-1 -2\le{x}\le{7}|x\in[-2,7] -2\le{x}\le{7}|x\in(-2,7) 1\pm\sqrt{19}|1-\sqrt{19},1+\sqrt{19} 1\pm\sqrt{19}|1+\sqrt{19}
\begin{pmatrix}1&2\\3&4\end{pmatrix}|\begin{bmatrix}1&2\\3&4\end{bmatrix} \begin{pmatrix}1&2\\3&4\end{pmatrix}|\begin{pmatrix}1&2\\3&5\end{pmatrix}
2+3i|3i+2 2+3i|2-3i 5!|120 5!|60
""".split()

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# (truth, answer) within the scope of rule-based equality; the verdicts are math-verify's.
NUMBERS = """
42|42 42|43 -7|-7 7|-7 1000|1,000 1234567|1,234,567 1234|1235 0.5|.5 0.5|0.50 2|2.0 2|2.1 1/2|0.5
1/3|0.333333 1/3|0.3333 2/3|0.666667 2/3|0.67 1/7|0.142857 1/7|0.1429 \\frac{1}{2}|1/2 \\frac{1}{2}|\\dfrac{1}{2}
\\frac{1}{2}|\\tfrac{1}{2} \\frac{1}{2}|\\frac12 \\frac{1}{2}|\\frac{2}{4} \\frac{1}{2}|\\frac{2}{1} \\frac{1}{2}|-\\frac{1}{2}
-\\frac{1}{2}|\\frac{-1}{2} -\\frac{1}{2}|-0.5 \\frac{3}{2}|1\\frac{1}{2} \\frac{3}{2}|1.5 1\\frac{1}{2}|\\frac{1}{2}
50\\%|0.5 50\\%|50 50\\%|\\frac{1}{2} 9|9\\% 12.5\\%|12.5\\% 12.5|12.6\\% 50\\%|51\\% 5|\\$5 \\$5|5 \\$5|6
90^\\circ|90 90^\\circ|45 90|90^{\\circ} 5|5\\text{cm} 5\\text{cm}|5 5\\text{cm}|6 10|10\\mathrm{cm} 7|3+4 8|3+4 1024|2^{10}
1024|2^{9} 6|2\\cdot3 6|2\\times3 5|2\\times3 2.5|10\\div4 4|\\sqrt{16} 5|\\sqrt{16} 1500|1.5\\times10^{3} 1500|1.5\\times10^{2}
\\frac{1}{6}|\\frac{\\frac{1}{2}}{3} 12345678901234567890|12345678901234567890 12345678901234567890|12345678901234567891
0|-0 0|0.0 0|1 -3|3 1|2/2 8|2^3 1/8|2^{-3} 0.125|2^{-3} 100|10^2 0.01|10^{-2} 3.14|\\frac{157}{50} 3.14|3.15
""".split()
STRUCTURES = """
(1,2)|(1,2) (1,2)|(2,1) (1,2)|\\left(1,2\\right) (1,2)|(1,3) (1,2,3)|(1,2) \\{1,2\\}|\\{2,1\\} \\{1,2\\}|\\{1,3\\}
1,2|2,1 1,2|1,3 [1,2)|[1,2) [1,2)|[1,2] [1,2]|(1,2) [0,1]|\\left[0,1\\right] (\\frac{1}{2},0.25)|(0.5,\\frac{1}{4})
x=5|5 5|x=5 x=5|x=5 x=5|y=5 x=5|x=6 5|x=6 7|x=3+4=7 y=2x+3|y=2x+3 2x+3|2x+3 2x+3|2x-3 2x+3|3x+2
\\frac{\\pi}{4}|\\dfrac{\\pi}{4} \\frac{\\pi}{4}|\\frac{\\pi}{3} 2\\pi|2\\pi 2\\pi|\\pi 2\\sqrt{3}|2\\sqrt{3} 2\\sqrt{3}|3\\sqrt{2} 2\\sqrt{3}|2\\sqrt3
x^{2}|x^2 x^{2}|x^3 \\text{Tuesday}|\\text{Tuesday} \\text{Tuesday}|\\text{Monday} \\text{yes}|\\text{no} \\text{yes}|\\text{yes}
""".split()

# Answers that math-verify reads differently; each comment gives the reason. (truth, answer, our verdict)
OURS = [
    ("5\\text{ m}", "5\\text{ cm}", False),  # math-verify drops units; longshot refuses two different ones
    ("5", "5\\text{ million}", False),  # ... and words that change the value
    ("101_2", "101", False),  # ... and bases
    ("12.5", "12.5\\%", True),  # math-verify wants whole numbers here
    ("5\\text{ m}", "500\\text{ cm}", True),  # units convert
    ("0.0000001", "0.0000002", False),  # ... and rounds to six places at any magnitude
    ("\\frac{3}{2}", "1 1/2", True),  # plain mixed numbers
    ("1000", "1e3", True),  # plain scientific notation
    ("3", "3.", True),
    ("7", "7\\text{ or }8", False),
    ("7", "7, 8", False),
]


@pytest.fixture(autouse=True)
def interpreter(monkeypatch):
    """Runs the Python plug-in in the environment of the tests, which has the packages."""
    monkeypatch.setenv("LONGSHOT_VENV", sys.prefix)


def grade(longshot, rows, *arguments):
    done = longshot("grade", *arguments, input="".join(json.dumps(r) + "\n" for r in rows))
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(rows)
    return results


def boxed(answer):
    return f"We work it out. The final answer is $\\boxed{{{answer}}}$."


def reference(truth, answer):
    return bool(verify(parse(f"${truth}$"), parse(boxed(answer))))


def cases():
    for case in NUMBERS + STRUCTURES + SYMBOLIC:
        yield tuple(case.split("|"))
    rng = random.Random(5)
    for _ in range(300):  # random fractions, decimals, percentages and integers, half of them right
        a, b = rng.randint(-50, 50), rng.randint(1, 30)
        c, d = (a, b) if rng.random() < 0.5 else (rng.randint(-50, 50), rng.randint(1, 30))
        forms = [f"\\frac{{{c}}}{{{d}}}", f"{c}/{d}", f"{c / d:.8f}", f"{3 * c}/{3 * d}", f"\\dfrac{{{2 * c}}}{{{2 * d}}}"]
        yield f"\\frac{{{a}}}{{{b}}}", rng.choice(forms)


def test_agrees_with_math_verify(longshot):
    table = list(cases())
    results = grade(longshot, [{"completion": boxed(a), "ground_truth": t} for t, a in table], "--reward", "math")
    different = []
    for (truth, answer), result in zip(table, results):
        expected = reference(truth, answer)
        if (result["score"] == 1) != expected:
            different.append(f"truth {truth} answer {answer}: longshot {result['score']}, math-verify {expected}")
    accepted = sum(result["score"] == 1 for result in results)
    print(f"agreement with math-verify: {len(table) - len(different)} of {len(table)} ({accepted} accepted)")
    assert not different, "\n".join(different)


def table():
    """The rows of tests/grader: truth, response, whether it is right, options."""
    folder = ROOT / "tests/grader"
    for line in (folder / "math_verify.jsonl").read_text().splitlines():
        row = json.loads(line)
        yield row["truth"], row["answer"], row["expected"] != ("differs" in row), row.get("options", {})
    for line in (folder / "cases.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            expected, truth, answer, *options = line.split("\t")
            if answer.count("{") == answer.count("}") and not answer.endswith("\\"):  # a box that closes
                yield truth, boxed(answer), expected == "1", json.loads(options[0]) if options else {}


def test_judges_every_row_of_the_tables(longshot):
    by_options = {}
    for truth, response, expected, options in table():
        by_options.setdefault(json.dumps(options), []).append((truth, response, expected))
    wrong = []
    for options, rows in by_options.items():
        reward = json.dumps({"type": "math", **json.loads(options)})
        results = grade(longshot, [{"completion": r, "ground_truth": t} for t, r, _ in rows], "--reward", reward)
        wrong += [f"truth {t} response {r}: expected {e}, {v}" for (t, r, e), v in zip(rows, results) if v.get("correct") != e]
    assert sum(map(len, by_options.values())) > 1500
    assert not wrong, "\n".join(wrong)


def test_judges_whole_responses(longshot):
    rows = [json.loads(line) for line in (ROOT / "tests/grader/responses.jsonl").read_text().splitlines()]
    for reward in ("math", "choice"):
        mine = [row for row in rows if row["reward"] == reward]
        assert len(mine) > 80
        results = grade(longshot, [row["row"] for row in mine], "--reward", reward)
        wrong = [row for row, result in zip(mine, results) if result.get("score") != row["score"]]
        assert not wrong, wrong


def test_accepted_answers_and_long_integers(longshot):
    big = 2**100 + 1
    rows = [f'{{"completion": "\\\\boxed{{{c}}}", "ground_truth": {t}}}' for c, t in
            ((big, big), (big - 1, big), (2**80, 2**80 + 1), (72, 72.0), (5, '["5", "5.0"]'), (5, "[5]"), (6, "[5]"))]
    done = longshot("grade", "--reward", "math", input="\n".join(rows) + "\n")
    assert [json.loads(line)["score"] for line in done.stdout.splitlines()] == [1, 0, 0, 1, 1, 1, 0]
    rows = [{"completion": c, "ground_truth": ["navy", "dark blue"]} for c in ("navy", "dark blue", "u", '"navy"')]
    assert [r["score"] for r in grade(longshot, rows, "--reward", "exact")] == [1, 1, 0, 0]


def test_endless_work_is_an_error_soon_and_never_a_score(longshot):
    nested = "((a+b)^2+2(a+b)(c+d+m+n)+(c+d+m+n)^2)^8+\\sqrt{x}"
    rows = [{"completion": f"\\boxed{{{nested}}}", "ground_truth": "(a+b+c+d+m+n)^{16}+\\sqrt{x}"},
            {"completion": "\\boxed{9^{9^{9^9}}}", "ground_truth": "7"},
            {"completion": "\\boxed{" + "(" * 50000 + "}", "ground_truth": "7"},
            {"completion": "\\boxed{x+x}", "ground_truth": "2x"}]
    start = time.monotonic()
    results = grade(longshot, rows, "--reward", json.dumps({"type": "math", "symbolic_seconds": 0.2}))
    assert time.monotonic() - start < 10
    assert "200 ms" in results[0]["error"] and "score" not in results[0]
    assert [r.get("score") for r in results[1:]] == [0, 0, 1]


def test_bad_options_of_math_end_with_code_2(longshot):
    for option, message in (({"digit": 3}, "digit"), ({"digits": 99}, "digits"), ({"symbolic_seconds": 0}, "symbolic_seconds"),
                            ({"strict": 1}, "strict")):
        done = longshot("grade", "--reward", json.dumps({"type": "math", **option}), input="", check=False)
        assert done.returncode == 2 and message in done.stderr


def test_known_differences_are_as_documented(longshot):
    rows = [{"completion": boxed(answer), "ground_truth": truth} for truth, answer, _ in OURS]
    for (truth, answer, expected), result in zip(OURS, grade(longshot, rows)):
        assert (result["score"] == 1) == expected, (truth, answer)


def test_streams_in_order_with_threads(longshot):
    rows = [{"completion": f"\\boxed{{{i}}}", "ground_truth": str(i if i % 2 else -1)} for i in range(5000)]
    start = time.monotonic()
    results = grade(longshot, rows, "--threads", "2")
    print(f"throughput: {len(rows) / (time.monotonic() - start):.0f} rows a second")
    assert [r["answer"] for r in results] == [str(i) for i in range(5000)]
    assert [r["score"] for r in results] == [i % 2 for i in range(5000)]


def test_bad_row_names_file_and_line(longshot, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"completion": "1", "ground_truth": "1"}\n{"completion": 3}\n')
    done = longshot("grade", "--input", path, check=False)
    assert done.returncode == 2
    assert f"{path}:2" in done.stderr
    assert json.loads(done.stdout.splitlines()[0])["score"] == 1


def test_python_reward_and_its_errors(longshot, tmp_path):
    script = tmp_path / "reward.py"
    script.write_text(
        "def compute_score(data_source, solution_str, ground_truth, extra_info):\n"
        "    print('noise')\n"
        "    if solution_str == 'bad': raise KeyError('missing')\n"
        "    if solution_str == 'slow': __import__('time').sleep(60)\n"
        "    return len(solution_str) / 10\n"
    )
    rows = [{"completion": c, "ground_truth": ""} for c in ("12345", "bad", "slow", "1")]
    results = grade(longshot, rows, "--python", script, "--timeout", "0.5", "--retries", "0")
    assert results[0]["score"] == 0.5 and results[3]["score"] == 0.1
    assert "KeyError" in results[1]["error"]
    assert "timeout" in results[2]["error"]


@pytest.mark.parametrize("task", ["countdown", "basic_arithmetic", "number_sorting", "spell_backward"])
def test_reasoning_gym_scores_its_own_answers(longshot, repo, task):
    import reasoning_gym

    entries = list(reasoning_gym.create_dataset(task, size=10, seed=3))
    rows = []
    for e in entries:
        base = {"data_source": f"reasoning_gym/{task}", "ground_truth": e["answer"], "extra_info": {"metadata": e["metadata"]}}
        rows.append({**base, "completion": f"I think.\n<answer>{e['answer']}</answer>"})
        rows.append({**base, "completion": "I think.\n<answer>0 1 nothing</answer>"})
    for arguments in (["--reward", "auto"], ["--python", repo / "tools/reasoning_gym_reward.py"]):
        results = grade(longshot, rows, *arguments, "--timeout", "60")
        assert all(r["correct"] for r in results[::2]), results[::2]
        assert not any(r["correct"] for r in results[1::2]), results[1::2]
