"""longshot doctor reports the same facts about the machine as Python."""

import json
import os

import torch


def test_findings_agree_with_python(longshot):
    report = json.loads(longshot("doctor", "--json").stdout)
    findings = {f["name"]: f for f in report["findings"]}
    assert list(findings) == ["build", "cpu", "simd", "memory", "disk", "libtorch", "cuda", "namespaces", "cgroup", "seccomp",
                              "sandbox"]
    assert report["ok"] == all(f["status"] == "ok" for f in findings.values())
    assert all(("advice" in f) == (f["status"] == "warn") for f in findings.values())
    assert findings["libtorch"]["detail"].startswith(torch.__version__.split("+")[0])
    assert str(torch.backends.cpu.get_cpu_capability()) in findings["libtorch"]["detail"]
    assert findings["cuda"]["detail"].startswith("libtorch has it" if torch.version.cuda else "libtorch is a CPU build")
    cores = int(findings["cpu"]["detail"].split(" usable")[0].split()[-1])
    assert 1 <= cores <= len(os.sched_getaffinity(0))


def test_text_has_a_line_for_each_finding(longshot):
    lines = longshot("doctor").stdout.splitlines()
    assert sum(line.startswith(("ok ", "warn ")) for line in lines) == 11
    advice = sum(line.strip().startswith("-> ") for line in lines)
    assert advice == sum(line.startswith("warn ") for line in lines)
