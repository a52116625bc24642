"""Everything that runs on a libtorch device other than the CPU: runs on a device without hardware that is as strict as a GPU
(tests/helpers/device_without_hardware.cc), and is compared with libtorch on the CPU."""
import json
import os
import pathlib
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from support import LONGSHOT, ROOT, tiny_model, write_rl

DEVICE_LIBRARY = os.environ.get("LONGSHOT_TEST_DEVICE", str(ROOT / "build/release/bin/libdevice_without_hardware.so"))
STRICT = {**os.environ, "LD_PRELOAD": DEVICE_LIBRARY}
DEVICES = ("cpu", "test_device")


def on_device(*arguments, program=LONGSHOT, code=0):
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, timeout=600, cwd=ROOT,
                          env=STRICT)
    assert done.returncode == code, f"{' '.join(map(str, arguments))}\n{done.stdout}\n{done.stderr}"
    return done


def python_on_device(text):
    # Python looks up a module named after the device for features beyond tensors.
    begin = """
import ctypes, types, torch
module = types.ModuleType("test_device")
module._is_in_bad_fork, module.is_initialized, module._lazy_init = (lambda: False), (lambda: True), (lambda: None)
torch._register_device_module("test_device", module)
d = torch.device("test_device:0")
"""
    return subprocess.run([sys.executable, "-c", begin + text], capture_output=True, text=True, timeout=300, env=STRICT)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Returns (model directory, data directory, a reward that differs within groups)."""
    root = tmp_path_factory.mktemp("device")
    model, data = tiny_model(root, steps=40)
    reward = root / "reward.py"
    reward.write_text("def compute_score(data_source, solution_str, ground_truth, extra_info):\n"
                      "    return solution_str.count('1') % 2\n")
    return model, data, reward


def train(tiny, folder, device, *overrides):
    """Two iterations of RL through libtorch; returns the last metrics and the weights."""
    model, data, reward = tiny
    config = folder.with_suffix(".toml")
    write_rl(config, model, data,
             {"data.train_batch_size": 4, "data.max_prompt_length": 16, "data.max_response_length": 16, "rollout.engine": "torch",
              "reward.functions": [{"type": "python", "path": reward, "interpreter": sys.executable}],
              "algorithm.mini_batches": 2, "optim.lr": 1e-3, "trainer.kernels": "libtorch", "trainer.threads": 2,
              "trainer.test_freq": 2, "trainer.val_max_prompts": 4})
    on_device("train", config, f"trainer.default_local_dir={folder}", f"trainer.device={device}",
              "trainer.total_iterations=2", *overrides)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    newest = folder / f"global_step_{(folder / 'latest_checkpointed_iteration.txt').read_text().strip()}"
    (weights,) = [*newest.glob("huggingface/model.safetensors"), *newest.glob("adapter/adapter_model.safetensors")]
    return lines[-1], load_file(weights)


def largest_difference(ours, theirs):
    assert set(ours) == set(theirs)
    return max((ours[name] - theirs[name]).abs().max().item() for name in ours)


def test_the_device_is_as_strict_as_a_gpu():
    same = python_on_device("print((torch.arange(4.).to(d) * 2).sum().item())")
    assert same.stdout.strip() == "12.0", same.stderr
    mixed = python_on_device("torch.ones(2, device=d) + torch.ones(2)")
    assert mixed.returncode == 1 and "same device" in mixed.stderr
    touched = python_on_device("print(ctypes.c_float.from_address(torch.ones(2, device=d).data_ptr()).value)")
    assert touched.returncode == -11, touched


@pytest.mark.parametrize("overrides", [
    pytest.param((), id="whole"),
    pytest.param(("model.lora_rank=4",), id="lora"),
    pytest.param(("trainer.dtype=bfloat16",), id="bfloat16"),
    pytest.param(("algorithm.name=grpo", "algorithm.kl_coef=0.1", "optim.clip_grad=0.5", "rollout.token_budget=200",
                  "replay.max_groups=4"), id="grpo"),
])
def test_rl_on_a_device_equals_rl_on_the_cpu(tiny, tmp_path, overrides, capsys):
    bfloat16 = "trainer.dtype=bfloat16" in overrides
    refused = bfloat16 and "avx512_bf16" not in pathlib.Path("/proc/cpuinfo").read_text()
    bound = 2e-3 if bfloat16 else 1e-4
    if refused:  # The processor has no such products: one iteration, whose samples are the same, is compared with float32.
        overrides, bound = (*overrides, "trainer.total_iterations=1"), 2e-2
    cpu, cpu_weights = train(tiny, tmp_path / "cpu", "cpu", *(overrides[1:] if refused else overrides))
    ours, weights = train(tiny, tmp_path / "test_device", "test_device", *overrides)
    assert cpu["actor/grad_norm"] > 0
    keys = ("actor/grad_norm", "actor/loss", "critic/rewards/mean", "response_length/mean", "actor/entropy")
    metrics = max(abs(cpu[key] - ours[key]) / (max(1, abs(cpu[key])) if refused else 1) for key in keys)
    largest = largest_difference(weights, cpu_weights)
    with capsys.disabled():
        print(f"\n{overrides}: largest difference of a metric {metrics:.1e}, of a weight {largest:.1e}")
    assert metrics < bound and largest < bound


def test_a_run_on_a_device_resumes_to_the_bit(tiny, tmp_path):
    _, straight = train(tiny, tmp_path / "straight", "test_device")
    train(tiny, tmp_path / "parts", "test_device", "trainer.total_iterations=1")
    _, parts = train(tiny, tmp_path / "parts", "test_device")
    assert largest_difference(parts, straight) == 0


def test_supervised_reward_model_and_preference_training(tiny, tmp_path, capsys):
    model, data, _ = tiny
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps({"prompt": f"{a}+1=", "chosen": str(a + 1), "rejected": str(a)}) + "\n"
                             for a in range(40)))
    common = ("trainer.total_steps=3", "trainer.test_freq=0", "trainer.kernels=libtorch", "trainer.threads=2")
    for command, rows in (("sft", data / "sft.jsonl"), ("rm", pairs), ("dpo", pairs)):
        config = tmp_path / f"{command}.toml"
        config.write_text(f'[model]\npath = "{model}"\n[data]\ntrain_files = ["{rows}"]\nmax_length = 96\n')
        weights = []
        for device in DEVICES:
            folder = tmp_path / f"{command}_{device}"
            on_device(command, config, f"trainer.default_local_dir={folder}", f"trainer.device={device}", *common)
            weights.append(load_file(folder / "huggingface/model.safetensors"))
        largest = largest_difference(*weights)
        with capsys.disabled():
            print(f"\n{command}: largest difference of a weight {largest:.1e}")
        assert largest < 1e-4


def test_inference_on_a_device(tiny, tmp_path, capsys):
    model, data, _ = tiny
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"tokens": [3 + (i * j) % 9 for j in range(5 + i)]}) + "\n" for i in range(6)))
    values = []
    for device in DEVICES:
        out = on_device("logprobs", "--model", model, "--input", rows, "--device", device).stdout
        values.append([p for line in out.splitlines() for p in json.loads(line)["logprobs"]])
    largest = (torch.tensor(values[0]) - torch.tensor(values[1])).abs().max().item()
    with capsys.disabled():
        print(f"\nlogprobs: largest difference {largest:.1e}")
    assert largest < 1e-5
    texts = []
    for device in DEVICES:
        samples = tmp_path / f"samples_{device}.jsonl"
        on_device("eval", "--model", model, "--data", data / "val.jsonl", "--max-problems", 8, "--max-tokens", 12,
                  "--temperature", 1, "--seed", 5, "--device", device, "--samples", samples)
        texts.append([json.loads(line)["response"] for line in samples.read_text().splitlines()])
    assert texts[0] == texts[1] and any(texts[0])
    generated = on_device("generate", "--model", model, "--raw", "--prompt", "1+1=", "--max-tokens", 4, "--device",
                          "test_device").stdout
    assert generated.strip()


def test_gradients_on_a_device(tiny, tmp_path):
    model, _, _ = tiny
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"tokens": [3, 4, 5, 6, 7]}) + "\n")
    files = [tmp_path / f"{device}.safetensors" for device in DEVICES]
    for device, file in zip(DEVICES, files):
        on_device(model, rows, file, 1, device, program=pathlib.Path(LONGSHOT).parent / "gradient_dump")
    assert largest_difference(*map(load_file, files)) < 1e-4
