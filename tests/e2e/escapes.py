"""Programs that try to escape, to survive, or to take all resources. Each is (name, language, code, verdicts): it must end with
one of the verdicts and must not print ESCAPED, which it prints if its attempt succeeds.

Parts of the host that an attack needs are in {braces}: {port} and {abstract} are a TCP port and an abstract socket on which
the test listens, {secret} is a file outside, {pid} a process outside.
"""

SYSCALL = r"""
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    result = libc.syscall(number, *args)
    if result >= 0: print("ESCAPED", number, result)
    else: print("refused", number, ctypes.get_errno())
"""

# x86-64 numbers. Elsewhere they mean other calls or none, so those tests only run on x86-64.
CALLS = {
    "ptrace": "call(101, 0, 0, 0, 0)", "attach-to-init": "call(101, 16, 1, 0, 0)",
    "mount": "call(165, b'none', b'/tmp', b'tmpfs', 0, 0)", "umount": "call(166, b'/proc', 2)",
    "pivot_root": "call(155, b'.', b'.')", "chroot": "call(161, b'/tmp')",
    "unshare-user": "call(272, 0x10000000)", "unshare-net": "call(272, 0x40000000)",
    "setns": "call(308, os.open('/proc/self/ns/user', 0), 0)",
    "clone-user-namespace": "call(56, 0x10000000 | 17, 0, 0, 0, 0)", "clone3": "call(435, bytes(88), 88)",
    "keyctl": "call(250, 0, -3, 1)", "add_key": "call(248, b'user', b'a', b'b', 1, -3)",
    "request_key": "call(249, b'user', b'a', 0, -3)",
    "io_uring": "call(425, 8, ctypes.create_string_buffer(120))", "bpf": "call(321, 0, bytes(72), 72)",
    "perf_event": "call(298, bytes(128), 0, -1, -1, 0)", "userfaultfd": "call(323, 0)",
    "open_by_handle": "call(304, -100, bytes(16), 0)", "process_vm_readv": "call(310, 1, 0, 0, 0, 0, 0)",
    "kexec": "call(246, 0, 0, 0, 0)", "init_module": "call(175, 0, 0, b'')", "reboot": "call(169, 0xfee1dead, 672274793, 0, 0)",
    "swapon": "call(167, b'/tmp/x', 0)", "fsopen": "call(430, b'tmpfs', 0)", "open_tree": "call(428, -100, b'/', 1)",
    "limits-of-init": "call(302, 1, 7, (ctypes.c_uint64 * 2)(0, 0), 0)",
    "sched-of-init": "call(144, 1, 0, (ctypes.c_int)(0))", "pidfd_getfd": "call(438, os.pidfd_open(1) if hasattr(os, 'pidfd_open') else 0, 0, 0)",
    "raw-socket": "call(41, 2, 3, 1)", "packet-socket": "call(41, 17, 3, 0)", "netlink-socket": "call(41, 16, 3, 0)",
    "tcp-socket": "call(41, 2, 1, 0)", "set-hostname": "call(170, b'x', 1)", "setuid-0": "call(105, 0)",
    "device-node": "call(133, b'/tmp/sda', 0o60666, 0x800)",
}

PYTHON = {
    "fork-bomb": ("import os\nwhile True:\n  try: os.fork()\n  except OSError: pass", {"TO", "ML"}),
    "thread-bomb": ("import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()", {"RE", "ML", "TO"}),
    "memory-bomb": ("a = []\nwhile True: a.append(bytearray(10 << 20))", {"ML", "RE"}),
    "shared-memory-bomb": ("import mmap\na = []\nwhile True:\n  m = mmap.mmap(-1, 64 << 20); m.write(b'x' * (64 << 20)); a.append(m)", {"ML", "RE"}),
    "disk-bomb": ("f = open('/tmp/big', 'wb')\nwhile True: f.write(bytes(1 << 20)); f.flush()", {"RE", "ML", "OL"}),
    "many-files-disk-bomb": ("i = 0\nwhile True:\n  open(f'/tmp/{i}', 'wb').write(bytes(8 << 20)); i += 1", {"RE", "ML"}),
    "inode-bomb": ("i = 0\nwhile True:\n  open(f'/box/{i}', 'w').close(); i += 1", {"RE"}),
    "directory-bomb": ("import os\nwhile True: os.mkdir('d'); os.chdir('d')", {"RE", "TO"}),
    "memfd-bomb": ("import os\nfd = os.memfd_create('x')\nwhile True: os.write(fd, bytes(1 << 20))", {"ML", "RE", "OL"}),
    "output-bomb": ("while True: print('x' * 65536)", {"OL"}),
    "stderr-bomb": ("import sys\nwhile True: sys.stderr.write('x' * 65536)", {"OL"}),
    "busy": ("while True: pass", {"TO"}),
    "sleeper": ("import time\ntime.sleep(1000)", {"TO"}),
    "ignores-every-signal": ("import signal, time\nfor s in range(1, 65):\n  try: signal.signal(s, signal.SIG_IGN)\n  except (OSError, ValueError): pass\nwhile True: time.sleep(1)", {"TO"}),
    "daemon": ("import os, time\nif os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0:\n    time.sleep(1000)\n  os._exit(0)\nprint('done')", {"OK"}),
    "daemon-holding-the-output": ("import os, time\nif os.fork() == 0:\n  time.sleep(1000)\nprint('done')", {"OK"}),
    "busy-children": ("import os\nfor _ in range(8):\n  if os.fork() == 0:\n    while True: pass\nimport time\ntime.sleep(1000)", {"TO"}),
    "kill-everything": ("import os, signal\nos.kill(1, signal.SIGKILL)\nos.kill(1, signal.SIGSTOP)\nos.kill(-1, signal.SIGKILL)\nprint('alive')", {"OK", "SG", "RE"}),
    "init's-environment": ("try: print('ESCAPED', open('/proc/1/environ').read())\nexcept OSError as e: print(e)", {"OK"}),
    "init's-memory": ("import os\nfor n in ('mem', 'maps', 'fd', 'root', 'cwd', 'exe'):\n  p = '/proc/1/' + n\n  try: os.listdir(p) if n == 'fd' else os.readlink(p) if n in ('root', 'cwd', 'exe') else open(p).read(1); print('ESCAPED', n)\n  except OSError as e: print(e)", {"OK"}),
    "other-processes": ("import os\npids = [int(p) for p in os.listdir('/proc') if p.isdigit()]\nif len(pids) > 2: print('ESCAPED', pids)", {"OK"}),
    "proc-sys": ("try:\n  open('/proc/sys/kernel/hostname', 'w').write('x'); print('ESCAPED')\nexcept OSError as e: print(e)", {"OK"}),
    "sysrq": ("try:\n  open('/proc/sysrq-trigger', 'w').write('h'); print('ESCAPED')\nexcept OSError as e: print(e)", {"OK"}),
    "own-oom-score": ("try:\n  open('/proc/self/oom_score_adj', 'w').write('-1000'); print('ESCAPED')\nexcept OSError as e: print(e)", {"OK"}),
    "cgroup-files": ("import os\nfor d in ('/sys/fs/cgroup', '/sys'):\n  if os.path.exists(d): print('ESCAPED', d)", {"OK"}),
    "write-to-usr": ("try:\n  open('/usr/bin/x', 'w').close(); print('ESCAPED')\nexcept OSError as e: print(e)", {"OK"}),
    "write-to-dev": ("try:\n  open('/dev/x', 'w').close(); print('ESCAPED')\nexcept OSError as e: print(e)", {"OK"}),
    "host-file": ("import os\nfor p in ('{secret}', '/proc/1/root{secret}', '/.jail/lower{secret}', '/box/../../..{secret}'):\n  try: print('ESCAPED', open(p).read())\n  except OSError as e: print(e)", {"OK"}),
    "host-tmp": ("import os\nfor d in ('/tmp', '/var/tmp', '/box', '/run/shm', '/dev/shm'):\n  for f in os.listdir(d):\n    if f != 'main.py': print('ESCAPED', d, f)", {"OK"}),
    "shadow": ("import os\nfor p in ('/etc/shadow', '/root/.bashrc', '/home', '/var/log', '/boot', '/etc/ssh'):\n  if os.path.exists(p): print('ESCAPED', p)", {"OK"}),
    "host-process": ("import os\ntry: os.kill({pid}, 0); print('ESCAPED')\nexcept OSError as e: print(e)", {"OK"}),
    "environment": ("import os\nfor k, v in os.environ.items():\n  if k not in ('PATH', 'HOME', 'USER', 'TMPDIR', 'LANG', 'PYTHONHASHSEED', 'PYTHONINTMAXSTRDIGITS', 'PYTHONDONTWRITEBYTECODE', 'LC_CTYPE'): print('ESCAPED', k, v)", {"OK"}),
    "descriptors": ("import os\nfor fd in range(3, 256):\n  try: print('ESCAPED', fd, os.readlink(f'/proc/self/fd/{fd}'))\n  except OSError: pass", {"OK"}),
    "loopback": ("import socket\ntry:\n  socket.create_connection(('127.0.0.1', {port}), 1); print('ESCAPED')\nexcept OSError as e: print(e)", {"OK"}),
    "abstract-socket": ("import socket\ns = socket.socket(socket.AF_UNIX)\ntry:\n  s.connect('\\0{abstract}'); print('ESCAPED')\nexcept OSError as e: print(e)", {"OK"}),
    "keep-a-core": ("import os, resource\nprint(resource.getrlimit(resource.RLIMIT_CORE))\ntry:\n  resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); print('ESCAPED')\nexcept (OSError, ValueError) as e: print(e)\nos.abort()", {"SG"}),
    "raise-limits": ("import resource\nfor r in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE):\n  try: resource.setrlimit(r, (resource.RLIM_INFINITY,) * 2); print('ESCAPED', r)\n  except (OSError, ValueError) as e: print(e)", {"OK"}),
    "setuid-program": ("import os, subprocess\nr = subprocess.run(['su', '-c', 'id'], capture_output=True, stdin=subprocess.DEVNULL)\nprint('ESCAPED' if b'uid=0' in r.stdout else r.stderr)", {"OK", "RE"}),
    "large-file": ("f = open('x', 'wb')\nf.truncate(1 << 40)\nprint('ESCAPED')", {"RE", "SG", "OL"}),
    "segment-with-old-name": ("import os\nos.symlink('{secret}', 'link')\nprint(os.path.exists('link') and 'ESCAPED')", {"OK"}),
}

CPP = {
    "stack-bomb": ("int f(int n) { volatile char a[4096]; a[0] = n; return f(n + 1) + a[0]; }\nint main() { return f(0); }", {"SG", "ML"}),
    "bad-pointer": ("int main() { *(volatile int*)0 = 1; }", {"SG"}),
    "32-bit-call": ("int main() { asm volatile(\"int $0x80\" : : \"a\"(20)); }", {"SG"}),
    "include-a-host-file": ("#include \"{secret}\"\nint main() {}", {"CE"}),
    "include-etc-shadow": ("#include \"/etc/shadow\"\nint main() {}", {"CE"}),
    "include-without-end": ("#include \"/dev/zero\"\nint main() {}", {"CE"}),
    "include-itself": ("#include __FILE__\n#include __FILE__\nint main() {}", {"CE"}),
    "huge-object": ("char a[3000000000u] = {1};\nint main() {}", {"CE"}),
    "template-bomb": ("template <class A, class B> struct P {};\ntemplate <int N, class T> struct F { using t = typename F<N - 1, P<T, P<T, T>>>::t; };\ntemplate <class T> struct F<0, T> { using t = T; };\nF<26, int>::t x; char y[sizeof(&x)] = #;\nint main() {}", {"CE"}),
    "constexpr-bomb": ("constexpr int f(int n) { int s = 0; for (int i = 0; i < n; ++i) for (int j = 0; j < n; ++j) s += j; return s % 7; }\nstatic_assert(f(100000) == 9);\nint main() {}", {"CE"}),
    "assembler-include": ("asm(\".incbin \\\"{secret}\\\"\");\nint main() {}", {"CE"}),
}

BASH = {
    "shell-fork-bomb": (":(){ :|:& };:\nwait\nsleep 100", {"TO", "ML", "RE", "OK", "SG"}),
    "background": ("sleep 1000 & disown\nsetsid sleep 1000 &\necho done", {"OK"}),
    "fifo": ("mkfifo out\ncat out", {"TO"}),
    "links-in-the-work-directory": ("rm -rf /box/* ; ln -s / /box/root; ls /box/root/home 2>/dev/null && echo ESCAPED; true", {"OK"}),
}


def corpus():
    """Returns the rows (name, language, code, verdicts)."""
    rows = [(name, "python", SYSCALL + code, {"OK"}) for name, code in CALLS.items()]
    for language, table in (("python", PYTHON), ("cpp", CPP), ("bash", BASH)):
        rows += [(name, language, code, verdicts) for name, (code, verdicts) in table.items()]
    return rows
