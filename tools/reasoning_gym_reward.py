"""reasoning-gym's own scorers as a longshot reward: `[reward] functions = [{type = "python", path = ".../reasoning_gym_reward.py"}]`.

Rows come from tools/export_reasoning_gym.py: data_source "reasoning_gym/<task>", ground_truth the entry's answer, extra_info
the entry's metadata (as "metadata", or itself). The answer is taken from the last <answer>...</answer>, else the last
\\boxed{...}, else the last line. Needs the reasoning-gym package in the worker's interpreter.
"""

import functools
import json
import re

import reasoning_gym


@functools.lru_cache(maxsize=None)
def scorer(task):
    return reasoning_gym.get_score_answer_fn(task)


def find_answer(text):
    text = text.rsplit("</think>", 1)[-1].strip()
    tags = re.findall(r"<answer>(.*?)</answer>", text, re.DOTALL)
    if tags:
        return tags[-1].strip()
    boxes = re.findall(r"\\boxed\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}", text)
    if boxes:
        return boxes[-1].strip()
    return text.splitlines()[-1].strip() if text else ""


def compute_score(data_source, solution_str, ground_truth, extra_info):
    task = data_source.split("/", 1)[1]
    info = extra_info or {}
    metadata = info.get("metadata", info)
    if isinstance(metadata, str):
        metadata = json.loads(metadata)
    entry = {"question": info.get("question", ""), "answer": ground_truth, "metadata": metadata}
    answer = find_answer(solution_str)
    score = float(scorer(task)(answer, entry))
    return {"score": score, "correct": score >= 0.99, "answer": answer}
