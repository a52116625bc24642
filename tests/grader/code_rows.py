"""Responses with programs and ground truths in the formats of the public data sets: (name, response, ground truth, score).
A response without a fence is the program itself, and it is put into its own block. test_code_rows.py grades the rows, and
test_code_graders.py grades them with other projects' graders."""
import base64
import json
import pickle
import zlib

FENCE, NEXT = "```", "print(int(input())+1)"
ONE_TO_TWO = {"inputs": ["1"], "outputs": ["2"]}


def fenced(code, word="python"):
    return f"Here is my solution.\n\n{FENCE}{word}\n{code}\n{FENCE}\n"


def calls(name, *pairs, **more):
    return {"fn_name": name, "inputs": [list(inputs) for inputs, _ in pairs], "outputs": [value for _, value in pairs], **more}


def texts(name, *pairs):
    """The format of LiveCodeBench and PRIME: each argument's JSON on its own line, and the value's JSON."""
    return {"fn_name": name, "inputs": ["\n".join(map(json.dumps, inputs)) for inputs, _ in pairs],
            "outputs": [json.dumps(value) for _, value in pairs]}


def streams(*pairs, **more):
    return {"inputs": [given for given, _ in pairs], "outputs": [wanted for _, wanted in pairs], **more}


def printed(code, wanted, given=""):
    return fenced(code), streams((given, wanted))


def returned(expression, wanted, score, name=None, **more):
    return name or f"{expression} for {wanted!r}", fenced(f"def f(x):\n    return {expression}"), calls("f", ([0], wanted), **more), score


def packed(tests):
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


DEEP = 400
NODE = "class ListNode:\n    def __init__(self, val=0, next=None):\n        self.val = val\n        self.next = next\n"

FENCES = [(name, response, ONE_TO_TWO, score) for name, response, score in [
    ("inline fence", f"The code: {FENCE}python\n{NEXT}\n{FENCE}\n", 1),
    ("inline fence without a word", f"The code: {FENCE}\n{NEXT}\n{FENCE}\n", 1),
    ("one line", f"The code: {FENCE}python {NEXT}{FENCE}.", 1),
    ("indented", f"1. Read it:\n\n   {FENCE}python\n   {NEXT}\n   {FENCE}\n", 1),
    ("indented with tabs", f"\t{FENCE}python\n\tx = int(input())\n\tif x:\n\t\tprint(x + 1)\n\t{FENCE}", 1),
    ("only the fences are indented", f"- So:\n  {FENCE}python\n{NEXT}\n  {FENCE}", 1),
    ("indented more than its fence", f"{FENCE}python\n    x = int(input())\n    print(x + 1)\n{FENCE}", 1),
    ("tildes", f"~~~python\n{NEXT}\n~~~", 1),
    ("tildes around a fence", f"~~~~python\n{NEXT}\ns = '''\n~~~\n'''\n~~~~", 1),
    ("four backticks", f"{FENCE}`python\ns = '''\n{FENCE}\n'''\n{NEXT}\n{FENCE}`", 1),
    ("quoted", f"> {FENCE}python\n> {NEXT}\n> {FENCE}", 1),
    ("quoted without a blank", f">{FENCE}python\n>{NEXT}\n>{FENCE}", 1),
    ("quoted in a list", f"- > {FENCE}python\n  > {NEXT}\n  > {FENCE}", 1),
    ("output block", f"{FENCE}python\n{NEXT}\n{FENCE}\nIt prints:\n{FENCE}\n2\n{FENCE}", 1),
    ("output block with a word", f"{FENCE}python\n{NEXT}\n{FENCE}\n{FENCE}output\n2\n{FENCE}", 1),
    ("text before and after", f"{FENCE}text\n1\n{FENCE}\n{FENCE}python\n{NEXT}\n{FENCE}\n{FENCE}json\n2\n{FENCE}", 1),
    ("shell commands", f"{FENCE}sh\npip install x\n{FENCE}\n{FENCE}python\n{NEXT}\n{FENCE}\n{FENCE}bash\npython main.py\n{FENCE}", 1),
    ("no word and shell commands", f"{FENCE}\n{NEXT}\n{FENCE}\nRun it:\n{FENCE}bash\npython3 main.py\n{FENCE}", 1),
    ("never closed", f"{FENCE}python\n{NEXT}", 0),
    ("never closed after a complete one", f"{FENCE}python\n{NEXT}\n{FENCE}\nBetter:\n{FENCE}python\nx = int(in", 0),
    ("two drafts", f"{FENCE}python\nprint(0)\n{FENCE}\nNo:\n{FENCE}python\n{NEXT}\n{FENCE}", 1),
    ("two drafts, the last wrong", f"{FENCE}python\n{NEXT}\n{FENCE}\nNo:\n{FENCE}python\nprint(0)\n{FENCE}", 0),
    ("draft in the thoughts", f"<think>\n{FENCE}python\nprint(0)\n{FENCE}\n</think>\n{FENCE}python\n{NEXT}\n{FENCE}", 1),
    ("only in the thoughts, which are cut", f"<think>\n{FENCE}python\n{NEXT}\n{FENCE}\nWait, ", 0),
    ("thoughts without their beginning", f"print(0)\n</think>\n{FENCE}python\n{NEXT}\n{FENCE}", 1),
    ("answer tags", f"<think>x</think><answer>\n{FENCE}python\n{NEXT}\n{FENCE}\n</answer>", 1),
    ("answer tags on the fences' lines", f"<answer>{FENCE}python\n{NEXT}\n{FENCE}</answer>", 1),
    ("a word behind the closing fence", f"{FENCE}python\n{NEXT}\n{FENCE} This reads a number.\n", 1),
    ("an end mark behind it", f"{FENCE}python\n{NEXT}\n{FENCE}<|im_end|>", 1),
    ("no closing line of its own", f"{FENCE}python\n{NEXT}{FENCE}", 1),
    ("CRLF", f"{FENCE}python\r\n{NEXT}\r\n{FENCE}\r\n", 1),
    ("only prose", "The program reads a number and prints the next one.", 0),
    ("empty block", f"{FENCE}python\n{FENCE}", 0),
    ("empty response", "", 0),
]] + [(f"word {word}", fenced(NEXT, word), ONE_TO_TWO, 1) for word in (
    "python", "Python", "PYTHON", "py", "py3", "python3", "Python3", "python 3", "python3.11", "python-3", "pypy3", "", " python ",
    "python {.line-numbers}", "{.python}", "python:main.py", "python title=\"main.py\"", "python,linenos", "ipython", "cpython")] + [
    (f"word {word}", fenced("#include <iostream>\nint main(){int x;std::cin>>x;std::cout<<x+1;}", word), ONE_TO_TWO, 1)
    for word in ("cpp", "C++", "c++17", "CPP", "cxx", "cc", "C++20", "g++", "cpp17")] + [
    ("word C", fenced("#include <stdio.h>\nint main(void){int x;scanf(\"%d\",&x);printf(\"%d\",x+1);}", "C"), ONE_TO_TWO, 1),
    ("word c11", fenced("#include <stdio.h>\nint main(void){int x;scanf(\"%d\",&x);printf(\"%d\",x+1);}", "c11"), ONE_TO_TWO, 1),
    ("word sh", fenced("read x\necho $((x + 1))", "sh"), ONE_TO_TWO, 1)]

STREAMS = [
    ("lines as a list", *[fenced("n=int(input())\nprint(sum(map(int,input().split())))")], streams((["3", "1 2 3"], ["6"])), 1),
    ("lines of output as a list", fenced("print(1)\nprint(2)"), streams(("", ["1", "2"])), 1),
    ("no newline at the end of the input", fenced("import sys\nprint(len(sys.stdin.readlines()))"), streams(("1\n2", "2")), 1),
    ("trailing blank lines", *printed("print('a\\n\\n')", "a"), 1),
    ("trailing blank lines expected", *printed("print('a')", "a\n\n\n"), 1),
    ("trailing blanks", *printed("print('a   ')", "a"), 1),
    ("leading blanks", *printed("print('  a')", "a"), 1),
    ("CRLF expected", *printed("print('a')\nprint('b')", "a\r\nb\r\n"), 1),
    ("CRLF printed", *printed("print('a', end='\\r\\n')\nprint('b')", "a\nb"), 1),
    ("words on another line", *printed("print(1)\nprint(2)", "1 2"), 0),
    ("another order", *printed("print(2, 1)", "1 2"), 0),
    ("upper case", *printed("print('yes')", "YES"), 0),
    ("a line too many", *printed("print(1)\nprint(2)", "1"), 0),
    ("a line too few", *printed("print(1)", "1\n2"), 0),
    ("nothing printed", *printed("pass", "1"), 0),
    ("nothing expected", *printed("pass", ""), 1),
    ("floats with fewer places", *printed("print('0.333333')", "0.3333333333"), 1),
    ("floats with more places", *printed("print(2/3)", "0.6666667"), 1),
    ("several floats in a line", *printed("print(1/3, 2/3)", "0.3333333 0.6666667"), 1),
    ("a float that is off", *printed("print(0.334)", "0.3333333"), 0),
    ("a large float", *printed("print(1000000.4)", "1000000.5"), 1),
    ("an integer as a float", *printed("print(3.0)", "3"), 1),
    ("a float as an integer", *printed("print(3)", "3.0"), 1),
    ("another integer", *printed("print(1000001)", "1000000"), 0),
    ("a big integer", *printed("print(2**80)", str(2**80)), 1),
    ("a big integer that is off by one", *printed("print(2**80+1)", str(2**80)), 0),
    ("an exponent", *printed("print('1e-7')", "0.0000001"), 1),
    ("words and floats", *printed("print('Case 1:', 0.5000001)", "Case 1: 0.5"), 1),
    ("another word before a float", *printed("print('Case 2:', 0.5)", "Case 1: 0.5"), 0),
    ("compare exact", fenced("print(' a')"), streams(("", "a\n"), compare="exact"), 0),
    ("compare tokens", fenced("print(1)\nprint(2)"), streams(("", "1 2"), compare="tokens"), 1),
    ("tolerance of the row", fenced("print(0.51)"), streams(("", "0.5"), tolerance=0.05), 1),
    ("tolerance 0 of the row", fenced("print(0.5000000001)"), streams(("", "0.5"), tolerance=0), 0),
    ("a checker", fenced("print(-4)"), streams(("2", "4"), checker={"language": "python", "code":
     "import sys\nsys.exit(0 if abs(int(open(sys.argv[2]).read())) == 4 else 1)"}), 1),
    ("all tests count", fenced("print(2)"), streams(("1", "2"), ("2", "3")), 0),
    ("main guard", *printed("if __name__ == '__main__':\n    print(1)", "1"), 1),
    ("exit()", *printed("print(1)\nexit()\nprint(2)", "1"), 1),
    ("sys.exit in a function", *printed("import sys\ndef main():\n    print(1)\n    sys.exit()\nmain()", "1"), 1),
    ("exception after the answer", *printed("print(1)\n1/0", "1"), 0),
    ("input() at the end of the file", *printed("print(1)\ninput()", "1"), 0),
    ("until the end of the file", *printed("t=0\ntry:\n    while True: t+=int(input())\nexcept EOFError:\n    print(t)", "6", "1\n2\n3"), 1),
    ("stdin.buffer", *printed("import sys\nprint(sum(map(int,sys.stdin.buffer.read().split())))", "6", "1 2 3"), 1),
    ("stdin as an iterator", *printed("import sys\nprint(sum(int(l) for l in sys.stdin))", "3", "1\n2\n"), 1),
    ("open(0)", *printed("print(sum(map(int,open(0).read().split())))", "6", "1 2 3"), 1),
    ("os.read", *printed("import os\nprint(len(os.read(0, 99)))", "3", "abc"), 1),
    ("stdout.write", *printed("import sys\nsys.stdout.write('1')\nsys.stdout.flush()", "1"), 1),
    ("recursion with a limit of its own", *printed("import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return n and f(n-1)+1\nprint(f(40000))", "40000"), 1),
    ("a thread with a large stack", *printed("import sys, threading\nthreading.stack_size(1<<26)\nsys.setrecursionlimit(10**6)\ndef f(n): return n and f(n-1)+1\n"
     "t=threading.Thread(target=lambda: print(f(30000)))\nt.start()\nt.join()", "30000"), 1),
    ("a global of the main program", *printed("n=1\ndef f():\n    global n\n    n+=1\nf()\nprint(n)", "2"), 1),
    ("non-ASCII", *printed("print(input()[::-1])", "数é", "é数"), 1),
    ("output without end", *printed("while True: print('x')", "x"), 0),
    ("output to a file", *printed("open('answer.json','w').write('1')", "1"), 0),
    ("fn_name null", fenced(NEXT), {"fn_name": None, **ONE_TO_TWO}, 1),
    ("fn_name empty", fenced(NEXT), {"fn_name": "", **ONE_TO_TWO}, 1),
    ("numbers as inputs and outputs", fenced(NEXT), {"inputs": [1], "outputs": [2]}, 1),
]

CALLS = [
    returned("5", [5], 1, "wrapped"), returned("[5]", [5], 1, "a list of one"), returned("[[5]]", [5], 0, "wrapped too often"),
    returned("5", [[5]], 0, "wrapped twice"), returned("None", None, 1), returned("None", [None], 1), returned("0", None, 0, "0 for nothing"),
    returned("True", True, 1), returned("1", True, 1), returned("True", 1, 1), returned("False", True, 0), returned("'True'", True, 0),
    returned("True", "True", 1, "the text of True"), returned("'True'", "True", 1), returned("'true'", "true", 1), returned("True", "true", 1),
    returned("101", "101", 1, "a number for a text that is one"), returned("'101'", "101", 1, "a text that is a number"),
    returned("'101'", 101, 0, "a text for a number"), returned("0.1 + 0.2", 0.3, 1), returned("0.5", "0.5", 1), returned("0.31", 0.3, 0),
    returned("2.0", 2, 1), returned("2", 2.0, 1), returned("(1, 2)", [1, 2], 1), returned("[(1, 2), (3, 4)]", [[1, 2], [3, 4]], 1),
    returned("((1, (2, 3)),)", [[1, [2, 3]]], 1, "nested tuples"), returned("[1, 2]", [2, 1], 0), returned("{1, 2}", [1, 2], 0, "a set"),
    returned("{'a': 1}", {"a": 1}, 1), returned("{1: 2}", {"1": 2}, 1, "keys that JSON makes texts"), returned("{'a': 1, 'b': 2}", {"a": 1}, 0),
    returned("''", "", 1), returned("[]", [], 1), returned("[[]]", [[]], 1), returned("'a b'", "a b ", 0), returned("'é'", "é", 1),
    returned("2**80", 2**80, 1), returned("2**80 + 1", 2**80, 0), returned("float(2**80)", 2**80, 1), returned("[2**80 + 1]", [2**80], 0),
    returned("-2**70", -2**70, 1), returned("str(2**80)", 2**80, 0), returned("float('inf')", 1, 0), returned("float('nan')", None, 0),
    returned("object()", "object", 0), returned("iter([1])", [1], 0), returned("map(str, [1])", ["1"], 0), returned("deque([1])", [1], 0),
    returned("__import__('decimal').Decimal('0.5')", 0.5, 1), returned("__import__('fractions').Fraction(4, 2)", 2, 1),
    ("deep nesting", fenced(f"def f(n):\n    x = []\n    for _ in range(n): x = [x]\n    return x"),
     calls("f", ([DEEP], json.loads("[" * (DEEP + 1) + "]" * (DEEP + 1)))), 1),
    ("nesting without end", fenced("def f(n):\n    x = []\n    for _ in range(100000): x = [x]\n    return x"), calls("f", ([0], [[]])), 0),
    ("a list that holds itself", fenced("def f(n):\n    x = []\n    x.append(x)\n    return x"), calls("f", ([0], [[]])), 0),
    ("a deep argument", fenced("def f(x):\n    n = 0\n    while x: x, n = x[0], n + 1\n    return n"),
     calls("f", ([json.loads("[" * (DEEP + 1) + "]" * (DEEP + 1))], DEEP)), 1),
    ("a big argument", fenced("def f(n):\n    return n % 1000"), calls("f", ([10**30 + 7], 7)), 1),
    ("APPS wraps", fenced("def add(a, b):\n    return a + b"), calls("add", ([2, 3], [5]), ([4, 5], [9])), 1),
    ("one value is wrapped", fenced("def f(n):\n    return list(range(n))"), calls("f", ([1], [0]), ([2], [0, 1])), 1),
    ("wrapped now and then", fenced("def f(n):\n    return n if n < 2 else [n]"), calls("f", ([1], [1]), ([2], [2])), 0),
    ("LiveCodeBench texts", fenced("def add(a, b):\n    return a + b"), texts("add", ([2, 3], 5), ([4, 5], 9)), 1),
    ("texts of lists", fenced("def f(a, k):\n    return sorted(a)[:k]"), texts("f", ([[3, 1, 2], 2], [1, 2])), 1),
    ("texts of wrapped values", fenced("def f(a):\n    return a + 1"), texts("f", ([1], [2]), ([2], [3])), 1),
    ("texts of texts", fenced("def f(s):\n    return s[::-1]"), texts("f", (["ab"], "ba")), 1),
    ("texts of booleans", fenced("def f(s):\n    return s == 'a'"), texts("f", (["a"], True), (["b"], False)), 1),
    ("binary texts", fenced("def f(n):\n    return bin(n)[2:]"), calls("f", ([5], "101"), ([2], "10")), 1),
    ("no argument", fenced("def f():\n    return 1"), {"fn_name": "f", "inputs": [[]], "outputs": [1]}, 1),
    ("integer keys", fenced("def f(d):\n    return d[2]"), calls("f", ([{"1": "a", "2": "b"}], "b")), 1),
    ("text keys", fenced("def f(d):\n    return d['x']"), calls("f", ([{"x": 1}], 1)), 1),
    ("method of Solution", fenced("class Solution:\n    def f(self, x):\n        return x + 1"), calls("f", ([1], 2)), 1),
    ("Solution with a helper", fenced("class Solution:\n    def g(self, x):\n        return x + 1\n    def f(self, x):\n        return self.g(x)"), calls("f", ([1], 2)), 1),
    ("List without an import", fenced("class Solution:\n    def f(self, a: List[int]) -> Optional[int]:\n        return max(a)"), calls("f", ([[1, 3]], 3)), 1),
    ("names of LeetCode", fenced("def f(n):\n    c = Counter([1, 1])\n    h = [3, 1]\n    heapify(h)\n    return [c[1], heappop(h), gcd(4, 6), bisect_left([1, 2], 2), "
     "inf > 1, list(accumulate([1, 2])), reduce(lambda a, b: a + b, [1, 2]), maxsize > 0, cache(abs)(-1), len(defaultdict(list)), comb(4, 2)]"),
     calls("f", ([0], [2, 1, 2, 1, True, [1, 3], 3, True, 1, 0, 6])), 1),
    ("builtins stay", fenced("def f(n):\n    return [pow(2, 3, 5), sum([1]), abs(-1), max(1, 2), list(filter(None, [0, 1]))]"), calls("f", ([0], [3, 1, 1, 2, [1]])), 1),
    ("a function with an imported name", fenced("def gcd(a, b):\n    return 7"), calls("gcd", ([4, 6], 7)), 1),
    ("a function that is imported", fenced("from math import gcd"), calls("gcd", ([4, 6], 2)), 1),
    ("deep recursion", fenced("def f(n):\n    return n and f(n - 1) + 1"), calls("f", ([20000], 20000)), 1),
    ("in place, returns nothing", fenced("def f(a):\n    a.sort()"), calls("f", ([[2, 1]], [1, 2])), 0),
    ("in place, nothing expected", fenced("def f(a):\n    a.sort()"), calls("f", ([[2, 1]], None)), 1),
    ("prints beside the value", fenced("def f(x):\n    print('debug', x)\n    return x"), calls("f", ([1], 1)), 1),
    ("prints instead of returning", fenced("def f(x):\n    print(x)"), calls("f", ([1], 1)), 0),
    ("another name", fenced("def g(x):\n    return x"), calls("f", ([1], 1)), 0),
    ("wrong number of arguments", fenced("def f():\n    return 1"), calls("f", ([1], 1)), 0),
    ("sys.exit in the function", fenced("import sys\ndef f(x):\n    sys.exit(0)"), calls("f", ([1], 1)), 0),
    ("os._exit", fenced("import os\ndef f(x):\n    os._exit(0)"), calls("f", ([1], 1)), 0),
    ("the example runs at import", fenced("def f(x):\n    return x\nprint(f(3))\nif __name__ == '__main__':\n    print(f(int(input())))"), calls("f", ([1], 1)), 1),
    ("syntax error", fenced("def f(x) return x"), calls("f", ([1], 1)), 0),
    ("another language", fenced("int f(int x) { return x; }", "cpp"), calls("f", ([1], 1)), 0),
    ("python before another language", fenced("def f(x):\n    return x") + fenced("int f(int x) { return x; }", "cpp"), calls("f", ([1], 1)), 1),
    ("linked list of its own", fenced(f"{NODE}def f(a):\n    head = None\n    for v in a: head = ListNode(v, head)\n    return head.val"), calls("f", ([[1, 2]], 2)), 1),
    ("ListNode without a definition", fenced("def f(a):\n    return ListNode(a, TreeNode(2)).next.val"), calls("f", ([1], 2)), 1),
]

CASES = [
    ("LiveCodeBench row", fenced(NEXT), {"public_test_cases": json.dumps([{"input": "1", "output": "2", "testtype": "stdin"}]),
                                         "private_test_cases": packed([{"input": "4", "output": "5", "testtype": "stdin"}]), "metadata": "{}"}, 1),
    ("its private tests count", fenced("print(2)"), {"public_test_cases": json.dumps([{"input": "1", "output": "2", "testtype": "stdin"}]),
                                                     "private_test_cases": packed([{"input": "4", "output": "5", "testtype": "stdin"}]), "metadata": "{}"}, 0),
    ("LiveCodeBench call", fenced("class Solution:\n    def add(self, a: int, b: int) -> int:\n        return a + b"),
     {"public_test_cases": json.dumps([{"input": "1\n2", "output": "3", "testtype": "functional"}]), "private_test_cases": "[]",
      "metadata": json.dumps({"func_name": "add"})}, 1),
    ("rllm's cases with their metadata", fenced("class Solution:\n    def add(self, a: int, b: int) -> int:\n        return a + b"),
     [{"input": "1\n2", "output": "3", "testtype": "functional", "metadata": {"func_name": "add"}}], 1),
    ("list of cases", fenced(NEXT), [{"input": "1", "output": "2"}, {"input": "4", "output": "5"}], 1),
    ("PrimeIntellect's cases", fenced("def f(x):\n    return x"), [{"type": "function_call", "fn_name": "f", "input": [1], "output": [1]}], 1),
    ("open-r1's row", fenced(NEXT), {"language": "python", "test_cases": [{"input": "1\n", "output": "2\n", "fn_name": None, "type": "stdin_stdout"}]}, 1),
    ("verification_info as text", fenced(NEXT), {"verification_info": json.dumps({"test_cases": [{"input": "1", "output": "2", "type": "stdin_stdout"}]})}, 1),
    ("input_output as text", fenced(NEXT), {"input_output": json.dumps(ONE_TO_TWO)}, 1),
    ("code_contests", fenced(NEXT), {"public_tests": {"input": ["1"], "output": ["2"]}, "private_tests": {"input": [], "output": []},
                                     "generated_tests": {"input": ["4"], "output": ["5"]}}, 1),
    ("assert_case", fenced("def f(x):\n    return x"), {"assert_case": ["assert f(1) == 1", "assert f(2) == 2"]}, 1),
    ("a failing assert_case", fenced("def f(x):\n    return 1"), {"assert_case": ["assert f(1) == 1", "assert f(2) == 2"]}, 0),
]

CHECK = "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(-1) == 0\n"
LIST_CHECK = "def check(candidate):\n    assert is_same_list(candidate(head = list_node([1, 2, 3])), list_node([3, 2, 1]))\n"
TREE_CHECK = "def check(candidate):\n    assert is_same_tree(candidate(root = tree_node([4, 2, 7])), tree_node([4, 7, 2]))\n    assert candidate(root = None) is None\n"
CHECKS = [
    ("human-eval", fenced("def inc(x):\n    return x + 1"), {"test": CHECK, "entry_point": "inc"}, 1),
    ("human-eval, wrong", fenced("def inc(x):\n    return x"), {"test": CHECK, "entry_point": "inc"}, 0),
    ("human-eval with METADATA", fenced("def inc(x):\n    return x + 1"), {"test": "\n\nMETADATA = {'author': 'x'}\n\n\n" + CHECK, "entry_point": "inc"}, 1),
    ("annotations of the prompt", fenced("def inc(x: Optional[int]) -> int:\n    return x + 1"), {"test": CHECK, "entry_point": "inc"}, 1),
    ("MBPP", fenced("def f(x):\n    return x * 2"), {"test_list": ["assert f(1) == 2", "assert f(2) == 4"], "test_setup_code": "", "challenge_test_list": []}, 1),
    ("MBPP with a builtin's name", fenced("def sum(a, b):\n    return a * b"), {"test_list": ["assert sum(2, 3) == 6"]}, 1),
    ("MBPP with imports", fenced("import math\ndef f(x):\n    return math.pi * x"), {"test_imports": ["import math"], "test_list": ["assert math.isclose(f(2), 6.283185307)"]}, 1),
    ("MBPP's set", fenced("def f(a, b):\n    return set(a) & set(b)"), {"test_list": ["assert f((1, 2), (2, 3)) == {2}"]}, 1),
    ("LeetCodeDataset", fenced("class Solution:\n    def inc(self, x: int) -> int:\n        return x + 1"), {"test": CHECK, "entry_point": "Solution().inc"}, 1),
    ("its linked lists", fenced("class Solution:\n    def rev(self, head: Optional[ListNode]) -> Optional[ListNode]:\n        last = None\n        while head:\n"
     "            head.next, last, head = last, head, head.next\n        return last"), {"functional": LIST_CHECK + "check(Solution().rev)"}, 1),
    ("its linked lists, wrong", fenced("class Solution:\n    def rev(self, head: Optional[ListNode]) -> Optional[ListNode]:\n        return head"),
     {"functional": LIST_CHECK + "check(Solution().rev)"}, 0),
    ("its trees", fenced("class Solution:\n    def inv(self, root: Optional[TreeNode]) -> Optional[TreeNode]:\n        if root:\n"
     "            root.left, root.right = self.inv(root.right), self.inv(root.left)\n        return root"), {"functional": TREE_CHECK + "check(Solution().inv)"}, 1),
    ("its trees, wrong", fenced("class Solution:\n    def inv(self, root):\n        return root"), {"functional": TREE_CHECK + "check(Solution().inv)"}, 0),
    ("KodCode", fenced("def add(a, b):\n    return a + b"), "from solution import add\n\ndef test_a():\n    assert add(1, 2) == 3\n\ndef test_b():\n    assert add(0, 0) == 0\n", 1),
    ("KodCode, wrong", fenced("def add(a, b):\n    return 3"), "from solution import add\n\ndef test_a():\n    assert add(1, 2) == 3\n\ndef test_b():\n    assert add(0, 0) == 0\n", 0),
    ("pytest.raises", fenced("def f(x):\n    raise ValueError('negative')"),
     "import pytest\nfrom solution import f\n\ndef test_a():\n    with pytest.raises(ValueError, match='neg'):\n        f(-1)\n", 1),
    ("pytest.raises, another", fenced("def f(x):\n    raise KeyError('negative')"),
     "import pytest\nfrom solution import f\n\ndef test_a():\n    with pytest.raises(ValueError):\n        f(-1)\n", 0),
    ("parametrize", fenced("def f(x):\n    return x * x"),
     "import pytest\nfrom solution import f\n\n@pytest.mark.parametrize('a, b', [(2, 4), (3, 9)])\ndef test_a(a, b):\n    assert f(a) == b\n", 1),
    ("parametrize, one wrong", fenced("def f(x):\n    return 4"),
     "import pytest\nfrom solution import f\n\n@pytest.mark.parametrize('a, b', [(2, 4), (3, 9)])\ndef test_a(a, b):\n    assert f(a) == b\n", 0),
    ("a class of tests", fenced("def f(x):\n    return 0"), "from solution import f\n\nclass TestF:\n    def test_a(self):\n        assert f(1) == 1\n", 0),
    ("unittest", fenced("def f(x):\n    return x"), {"test": "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(f(1), 1)\n"
     "if __name__ == '__main__':\n    unittest.main()\n"}, 1),
    ("unittest, wrong", fenced("def f(x):\n    return 0"), {"test": "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(f(1), 1)\n"}, 0),
    ("captured output", fenced("def f(x):\n    print('got', x)"), {"test": "import contextlib, io\nout = io.StringIO()\nwith contextlib.redirect_stdout(out):\n    f(1)\n"
     "assert out.getvalue() == 'got 1\\n'\n"}, 1),
    ("captured output, wrong", fenced("def f(x):\n    print('got 2')"), {"test": "import contextlib, io\nout = io.StringIO()\nwith contextlib.redirect_stdout(out):\n    f(1)\n"
     "assert out.getvalue() == 'got 1\\n'\n"}, 0),
    ("patched input", fenced("def f():\n    return int(input()) + int(input('second: '))"), {"test": "from unittest.mock import patch\n"
     "with patch('builtins.input', side_effect=['1', '2']):\n    assert f() == 3\n"}, 1),
    ("replaced stdin", fenced("import sys\ndef f():\n    return [int(l) for l in sys.stdin]"), {"test": "import io, sys\nsys.stdin = io.StringIO('1\\n2\\n')\nassert f() == [1, 2]\n"}, 1),
    ("in place", fenced("def f(a):\n    a.sort()"), {"test": "a = [2, 1]\nassert f(a) is None\nassert a == [1, 2]"}, 1),
    ("os._exit in checks", fenced("import os\nos._exit(0)"), {"test": CHECK, "entry_point": "inc"}, 0),
    ("SystemExit in checks", fenced("raise SystemExit(0)"), {"test": CHECK, "entry_point": "inc"}, 0),
    ("equal to everything", fenced("class E:\n    def __eq__(self, other):\n        return True\ndef inc(x):\n    return E()"), {"test": CHECK, "entry_point": "inc"}, 0),
]

ROWS = FENCES + STREAMS + CALLS + CASES + CHECKS

# (name, ground truth, words of the error): rows that no program can pass, or whose tests cannot be run.
UNFIT = [
    ("an output beyond the limit", streams(("", "x" * (2 << 20))), "output_bytes"),
    ("a value beyond the limit", calls("f", ([0], "x" * (2 << 20))), "output_bytes"),
    ("no tests", streams(), "inputs"),
    ("lists of different length", {"inputs": ["1"], "outputs": []}, "inputs"),
    ("an argument that is not JSON", {"fn_name": "f", "inputs": ["{"], "outputs": ["1"]}, "argument"),
    ("not JSON", "some text", "JSON"),
    ("no entry_point", {"test": CHECK}, "entry_point"),
    ("checks that are not Python", {"test": "assert f(1) =="}, "are not Python"),
    ("checks that check nothing", {"test": "assert 1 == 1"}, "say nothing"),
    ("checks of a missing module", {"test": "import no_such_module\nassert f(1) == 1"}, "no_such_module"),
]
