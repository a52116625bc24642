"""Programs that try to pass tests of `f(x) == 2 * x` without computing it. Each must be judged wrong, and none may count as a
fault of the sandbox. `LIAR` is inserted where a program needs an answer that claims to be right."""

LIAR = """
class Liar:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__
    def __bool__(self): return True
    def __hash__(self): return 0
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
    def __sub__(self, other): return 0
    __rsub__ = __add__ = __radd__ = __abs__ = __sub__
"""

CHEATS = {
    # ending early
    "exit-at-import": "raise SystemExit(0)",
    "sys.exit-in-the-function": "import sys\ndef f(x): sys.exit(0)",
    "os._exit-at-import": "import os\nos._exit(0)",
    "os._exit-in-the-function": "import os\ndef f(x): os._exit(0)",
    "atexit": "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): return 0",
    "exit-in-a-thread": "import os, threading\nthreading.Timer(0.05, os._exit, (0,)).start()\ndef f(x):\n  import time\n  time.sleep(1)",
    "exit-in-a-destructor": "import os\nclass D:\n  def __del__(self): os._exit(0)\ndef f(x):\n  D()\n  return 0",
    "exit-in-a-signal-handler": "import os, signal\nsignal.signal(signal.SIGALRM, lambda *a: os._exit(0))\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\n"
                                "def f(x):\n  import time\n  time.sleep(1)",
    "exec-true": "import os\nos.execv('/bin/true', ['true'])",
    "exec-in-the-function": "import os\ndef f(x): os.execv('/bin/true', ['true'])",
    "fork-and-answer-twice": "import os\nos.fork()\ndef f(x): return 0",
    # objects that lie
    "equal-to-everything": LIAR + "def f(x): return Liar()",
    "int-that-lies": "class E(int):\n  def __eq__(self, other): return True\n  __hash__ = int.__hash__\ndef f(x): return E(9)",
    "str-that-lies": "class E(str):\n  def __eq__(self, other): return True\n  __hash__ = str.__hash__\ndef f(x): return E('9')",
    "float-that-lies": "class E(float):\n  def __eq__(self, other): return True\n  def __sub__(self, other): return 0.0\ndef f(x): return E(9)",
    "list-that-lies": "class E(list):\n  def __eq__(self, other): return True\n  def __len__(self): return 3\ndef f(x): return E([9])",
    "dict-that-lies": "class E(dict):\n  def __eq__(self, other): return True\n  def __missing__(self, key): return self\ndef f(x): return E()",
    "tuple-that-lies": "class E(tuple):\n  def __eq__(self, other): return True\ndef f(x): return E([9])",
    "metaclass-that-lies": "class M(type):\n  def __eq__(cls, other): return True\n  __hash__ = type.__hash__\nclass E(metaclass=M): pass\ndef f(x): return E",
    "mock.ANY": "import unittest.mock\ndef f(x): return unittest.mock.ANY",
    "MagicMock": "import unittest.mock\nf = unittest.mock.MagicMock()",
    "f-is-a-liar": LIAR + "f = Liar()",
    "class-that-claims-a-type": LIAR + "class E(Liar):\n  __class__ = int\ndef f(x): return E()",
    "named-like-numpy": LIAR + "class E(Liar):\n  shape = ()\n  def item(self): return E()\nE.__module__ = 'numpy'\ndef f(x): return E()",
    "lazy-iterator": "def f(x):\n  while True: yield x",
    "not-a-number": "def f(x): return float('nan')",
    "exception-that-lies": "class AssertionError(Exception):\n  def __eq__(self, other): return True\ndef f(x): raise AssertionError()",
    "StopIteration": "def f(x): raise StopIteration(2 * 0)",
    "GeneratorExit": "def f(x): raise GeneratorExit",
    "KeyboardInterrupt": "def f(x): raise KeyboardInterrupt",
    "SkipTest": "import unittest\ndef f(x): raise unittest.SkipTest('no')",
    "exception-by-the-name-of-SkipTest": "class SkipTest(Exception): pass\ndef f(x): raise SkipTest",
    "exception-by-the-name-of-SystemExit": "class SystemExit(Exception): code = 0\ndef f(x): raise SystemExit(0)",
    "reduce": "class E(Exception):\n  def __reduce__(self): return (exit, (0,))\ndef f(x): raise E(E())",
    # changing the parts from which the checks are built
    "frames": "import sys\ndef f(x):\n  frame = sys._getframe()\n  while frame:\n    frame.f_globals['f'] = lambda x: 2 * x\n"
              "    for v in list(frame.f_locals.values()) + list(frame.f_globals.values()):\n      if isinstance(v, dict) and 'token' in v: print(v)\n"
              "    frame = frame.f_back\n  return 0",
    "frame-of-the-caller": "import sys\ndef f(x):\n  frame = sys._getframe(1)\n  frame.f_locals['expected'] = 0\n  frame.f_globals['__builtins__'] = {}\n  return 0",
    "gc.get_objects": "import gc\ndef f(x):\n  for o in gc.get_objects():\n    if isinstance(o, dict):\n      for k in list(o):\n"
                      "        if k in ('token', 'checks', 'asked', 'candidate'): o[k] = lambda *a: True\n  return 0",
    "gc.get_referrers": "import gc\ndef f(x):\n  for o in gc.get_referrers(f):\n    if isinstance(o, dict): o.update(expected=0, AssertionError=ValueError)\n  return 0",
    "settrace": "import sys, os\ndef t(frame, event, arg):\n  if event == 'exception': os._exit(0)\n  return t\nsys.settrace(t)\ndef f(x): return 0",
    "setprofile": "import sys, os\nsys.setprofile(lambda frame, event, arg: os._exit(0) if event == 'return' and frame.f_code.co_name == 'f' else None)\ndef f(x): return 0",
    "excepthook": "import sys, os\nsys.excepthook = lambda *a: os._exit(0)\ndef f(x): return 0",
    "builtins-AssertionError": "import builtins\nbuiltins.AssertionError = type('E', (SystemExit,), {})\ndef f(x): return 0",
    "builtins-exec-and-compile": "import builtins\nbuiltins.compile = builtins.exec = builtins.eval = lambda *a, **k: None\ndef f(x): return 0",
    "builtins-isinstance": "import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.type = lambda *a: int\ndef f(x): return 0",
    "builtins-all-and-any": "import builtins\nbuiltins.all = builtins.any = builtins.abs = builtins.zip = builtins.map = lambda *a: []\ndef f(x): return 0",
    "own-abs-set-sorted": "abs = set = sorted = list = zip = map = enumerate = lambda *a: []\ndef f(x): return 0",
    "builtins-import": "import builtins\nreal = builtins.__import__\nbuiltins.__import__ = lambda name, *a, **k: exit(0) if name == 'math' else real(name, *a, **k)\ndef f(x): return 0",
    "unittest-assertEqual": "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\nunittest.TestResult.wasSuccessful = lambda self: True\ndef f(x): return 0",
    "pytest-module": "import sys, types\nsys.modules['pytest'] = types.ModuleType('pytest')\nsys.modules['pytest'].raises = lambda *a: None\ndef f(x): return 0",
    "math-isclose": "import math\nmath.isclose = lambda *a, **k: True\ndef f(x): return 0",
    "json": "import json\njson.dumps = lambda *a, **k: '{\"value\": 4}'\njson.loads = lambda *a, **k: {'do': ['name', {'t': ['f']}, {'d': []}]}\ndef f(x): return 0",
    "json-encoder": "import json.encoder\njson.encoder.c_make_encoder = None\njson.JSONEncoder.iterencode = lambda *a, **k: iter('{\"value\": null}')\ndef f(x): return 0",
    "main-module": "import sys, __main__\nfor n in list(vars(__main__)):\n  if isinstance(vars(__main__)[n], type(lambda: 0)): setattr(__main__, n, lambda *a, **k: None)\ndef f(x): return 0",
    "codec-class": "import __main__\n__main__.Codec.encode = lambda self, value: {'g': 'int'}\n__main__.Program.encode = lambda self, value: True\ndef f(x): return 0",
    "ctypes-changes-an-integer": "import ctypes\nctypes.memmove(id(4) + 24, id(0) + 24, 4)\ndef f(x): return 0",
    "name-check": "def check(*a): pass\ndef f(x): return 0",
    "names-of-the-checks": "T = unittest = pytest = test_a = test_b = expected = candidate = None\ndef f(x): return 0",
    "module-of-the-checks'-name": "import sys\nsys.modules['checks'] = sys.modules['__main__'] = None\ndef f(x): return 0",
    # forging the channel
    "write-to-every-descriptor": "import os\nfor fd in range(3, 64):\n  try: os.write(fd, b'{\"value\": 4}\\n' * 9)\n  except OSError: pass\ndef f(x): return 0",
    "write-in-a-thread": "import threading, os\ndef w():\n  while True:\n    for fd in range(3, 20):\n      try: os.write(fd, b'\\n{\"value\": true}\\n')\n"
                         "      except OSError: pass\nthreading.Thread(target=w, daemon=True).start()\ndef f(x): return 0",
    "garbage-on-the-channel": "import os\nfor fd in range(3, 64):\n  try: os.write(fd, b'\\xff\\x00[[[[\\n')\n  except OSError: pass\ndef f(x): return 0",
    "deep-message": "import os\nfor fd in range(3, 64):\n  try: os.write(fd, b'{\"value\": ' + b'[' * 100000 + b'\\n')\n  except OSError: pass\ndef f(x): return 0",
    "long-message": "import os\ndef f(x):\n  for fd in range(3, 64):\n    try:\n      while True: os.write(fd, b'x' * 65536)\n    except OSError: pass",
    "unknown-handle": "import os\nfor fd in range(3, 64):\n  try: os.write(fd, b'{\"value\": null}\\n{\"value\": {\"p\": 0}}\\n{\"value\": {\"G\": \"exit\"}}\\n')\n  except OSError: pass\ndef f(x): return 0",
    "ask-for-the-parent's-builtins": "import os\nfor fd in range(3, 64):\n  try: os.write(fd, b'{\"value\": null}\\n{\"ask\": [\"builtin\", {\"t\": [\"exit\", 0]}, {\"d\": []}]}\\n')\n"
                                     "  except OSError: pass\ndef f(x): return 0",
    "ask-for-a-lent-object": "import os\nfor fd in range(3, 64):\n  try: os.write(fd, b'{\"value\": null}\\n{\"ask\": [\"attr\", {\"t\": [{\"p\": -1}, \"f_globals\"]}, {\"d\": []}]}\\n')\n"
                             "  except OSError: pass\ndef f(x): return 0",
    "close-the-channel": "import os\nos.closerange(3, 256)\ndef f(x): return 0",
    "read-the-channel": "import os\ndef f(x):\n  for fd in range(3, 20):\n    try: os.set_blocking(fd, False); print(os.read(fd, 65536))\n    except OSError: pass\n  return 0",
    # the answer's file
    "answer-file": "import json\njson.dump('x', open('answer.json', 'w'))\ndef f(x): return 0",
    "answer-fifo": "import os\nos.mkfifo('answer.json')\ndef f(x): return 0",
    "answer-link": "import os\nos.symlink('solution.py', 'answer.json')\ndef f(x): return 0",
    "answer-directory": "import os\nos.mkdir('answer.json')\ndef f(x): return 0",
    "answer-from-the-request": "import os\ntry: open('answer.json', 'wb').write(os.pread(0, 1 << 20, 0))\nexcept OSError: pass\nos._exit(0)",
    "huge-answer": "open('answer.json', 'w').write('[' * (60 << 20))\nimport os\nos._exit(0)",
    "no-right-to-the-directory": "import os\nos.chmod('.', 0)\ndef f(x): return 0",
    "full-disk": "try:\n  n = 0\n  while True:\n    n += 1\n    open(f'fill{n}', 'wb').write(b'x' * (16 << 20))\nexcept OSError: pass\ndef f(x): return 0",
    "modules-beside-the-program": "for n in ('math', 'json', 'unittest', 'pytest', 'sitecustomize', 'solution', 'io'):\n  open(n + '.py', 'w').write('raise SystemExit(0)')\n"
                                  "import os\nos.makedirs('pytest')\nopen('pytest/__init__.py', 'w').write('raise SystemExit(0)')\ndef f(x): return 0",
    # the other processes
    "proc-mem": "import os\ndef f(x):\n  for p in os.listdir('/proc'):\n    if p.isdigit() and p != str(os.getpid()):\n      for n in ('mem', 'maps', 'environ', 'fd/0', 'root/box/main.py'):\n"
                "        try: print('READ', open(f'/proc/{p}/{n}', 'rb').read(1))\n        except OSError: pass\n  return 0",
    "own-memory": "import re\ndef f(x):\n  for line in open('/proc/self/maps'):\n    if 'rw' not in line: continue\n    a, b = (int(v, 16) for v in line.split()[0].split('-'))\n"
                  "    try:\n      m = open('/proc/self/mem', 'rb', 0); m.seek(a); t = re.search(rb'\"token\": *\"([0-9a-f]{32})', m.read(b - a))\n"
                  "    except (OSError, ValueError, OverflowError): continue\n    if t: print('READ', t.group(1))\n  return 0",
    "ptrace": "import ctypes, os\ndef f(x):\n  libc = ctypes.CDLL(None)\n  for call in (16, 0x4206): libc.ptrace(call, os.getppid(), 0, 0)\n  return 0",
    "process_vm_writev": "import ctypes, os\ndef f(x):\n  ctypes.CDLL(None).process_vm_writev(os.getppid(), 0, 0, 0, 0, 0)\n  return 0",
    "pidfd_getfd": "import ctypes, os\ndef f(x):\n  fd = os.pidfd_open(os.getppid())\n  for n in range(16):\n    got = ctypes.CDLL(None).syscall(438, fd, n, 0)\n"
                   "    if got >= 0: print('READ', got)\n  return 0",
    "interrupt-the-parent": "import os, signal\ndef f(x):\n  os.kill(os.getppid(), signal.SIGINT)\n  return 0",
    "kill-the-parent": "import os, signal\ndef f(x):\n  os.kill(os.getppid(), signal.SIGKILL)\n  return 0",
    "terminate-the-parent": "import os, signal\ndef f(x):\n  os.kill(os.getppid(), signal.SIGTERM)\n  return 0",
    "kill-the-group": "import os, signal\ndef f(x):\n  os.killpg(0, signal.SIGKILL)\n  return 0",
    "stop-the-parent": "import os, signal\ndef f(x):\n  os.kill(os.getppid(), signal.SIGSTOP)\n  return 0",
    "alarm-in-the-parent": "import os, signal\ndef f(x):\n  for s in (signal.SIGALRM, signal.SIGUSR1, signal.SIGPIPE, signal.SIGCHLD, signal.SIGCONT): os.kill(os.getppid(), s)\n  return 0",
    "limits-of-the-parent": "import os, resource\ndef f(x):\n  try: resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (0, 0))\n  except OSError: pass\n  return 0",
    "orphan-that-answers": "import os, time\nif os.fork() == 0:\n  time.sleep(0.2)\n  open('answer.json', 'w').write('\"x\"')\n  os._exit(0)\ndef f(x): return 0",
    "never-ends": "def f(x):\n  while True: pass",
    "waits-for-ever": "import time\ndef f(x): time.sleep(1000)",
    "all-memory": "def f(x):\n  a = []\n  while True: a.append(bytearray(1 << 24))",
    # arguments and globals
    "changes-its-arguments": "def f(x):\n  import gc\n  for o in gc.get_referents(x): pass\n  x = 0\n  return x",
    "answers-from-the-file": "def f(x):\n  try: return eval(open('checks.py').read())\n  except OSError: return 0",
    "solution-replaces-itself": "import sys, types\nm = types.ModuleType('solution')\nm.f = lambda x: None\nsys.modules['solution'] = m\ndef f(x): return 0",
    "getattr-of-the-module": "def __getattr__(name): return lambda *a: True\ndef f(x): return 0",
}

SUITES = {
    "asserts": {"test": "import math\nfor a, b in zip(map(f, [2, 3]), [4, 6]):\n  assert a == b\n  assert abs(a - b) < 1\n  assert set([a]) == set([b])\n"
                        "  assert math.isclose(a, b)\nassert [f(x) for x in sorted([5, 7])] == [10, 14]"},
    "human-eval": {"test": "def check(candidate):\n  assert candidate(2) == 4\n  assert candidate(3) == 6\n  assert isinstance(candidate(1), int)\n\ncheck(f)\n"},
    "unittest": {"test": "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n  def test_a(self):\n    self.assertEqual(f(2), 4)\n  def test_b(self):\n"
                         "    self.assertAlmostEqual(f(0.5), 1.0)\nif __name__ == '__main__':\n  unittest.main()\n"},
    "pytest": {"test": "import pytest\nfrom solution import *\n@pytest.mark.parametrize('a, b', [(2, 4), (3, 6)])\ndef test_a(a, b):\n  assert f(a) == pytest.approx(b)\n"
                       "def test_b():\n  with pytest.raises(TypeError):\n    f(None)\n  assert f(2) in (4,)\n"},
    "calls": {"entry_point": "f", "tests": [{"args": [2], "value": 4}, {"args": [3], "value": 6}]},
}
RIGHT = "def f(x): return 2 * x"
