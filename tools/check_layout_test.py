#!/usr/bin/env python3
"""check_layout.py accepts a clean tree and names each planted violation."""

import pathlib
import tempfile
import unittest

import check_layout

CLEAN = {
    "src/CMakeLists.txt": "add_subdirectory(base)\nadd_subdirectory(model)\nadd_subdirectory(replay)\n"
                          "add_subdirectory(train)\nadd_subdirectory(loop)\n",
    "src/base/CMakeLists.txt": "longshot_library(NAME base SRCS log.cc)\n"
                               "longshot_test(NAME base_test SRCS log_test.cc DEPS base)\n",
    "src/base/log.h": "#pragma once\n",
    "src/base/log.cc": '#include "base/log.h"\n',
    "src/base/log_test.cc": '#include "base/log.h"\n',
    "src/model/CMakeLists.txt": "longshot_library(NAME model SRCS forward.cc DEPS base TORCH)\n",
    "src/model/forward.h": '#pragma once\n#include <ATen/core/Tensor.h>\n#include "base/log.h"\n',
    "src/model/forward.cc": '#include "model/forward.h"\n',
    "src/replay/CMakeLists.txt": "longshot_library(NAME replay SRCS buffer.cc DEPS base)\n",
    "src/replay/buffer.h": "#pragma once\n",
    "src/replay/buffer.cc": '#include "replay/buffer.h"\n#include "base/log.h"\n',
    "src/train/CMakeLists.txt": "longshot_library(NAME train SRCS fit.cc DEPS model TORCH)\n",
    "src/train/fit.h": "#pragma once\n",
    "src/train/fit.cc": '#include "train/fit.h"\n#include "model/forward.h"\n#include "base/log.h"\n',
    "src/loop/CMakeLists.txt": "longshot_library(NAME loop SRCS run.cc DEPS replay train)\n",
    "src/loop/run.h": "#pragma once\n",
    "src/loop/run.cc": '#include "train/fit.h"\n#include "replay/buffer.h"\n',
}


def violations(changes):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in {**CLEAN, **changes}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return list(check_layout.violations(root))


class CheckLayout(unittest.TestCase):
    def expect(self, changes, *words):
        found = violations(changes)
        self.assertTrue(any(all(w in line for w in words) for line in found), f"{words} not in {found}")

    def test_a_clean_tree_passes(self):
        self.assertEqual(violations({}), [])

    def test_torch_header_in_a_torch_free_folder(self):
        self.expect({"src/base/log.cc": "#include <c10/core/Device.h>\n"}, "src/base/log.cc", "torch-free")

    def test_torch_header_reached_through_another_header(self):
        self.expect({"src/replay/buffer.cc": '#include "model/forward.h"\n'}, "src/replay/buffer.cc",
                    "model/forward.h -> ATen/core/Tensor.h")

    def test_json_parsed_or_written_past_base(self):
        for line in ("auto j = Json::parse(text);", "text = json.dump(2);", "nlohmann::json j;"):
            self.expect({"src/base/log.cc": f"void f() {{ {line} }}\n"}, "src/base/log.cc:1", "base/json.h")

    def test_torch_free_library_marked_torch(self):
        self.expect({"src/replay/CMakeLists.txt": "longshot_library(NAME replay SRCS buffer.cc DEPS base TORCH)\n"},
                    "replay", "says TORCH")

    def test_fat_include(self):
        self.expect({"src/model/forward.cc": "#include <torch/torch.h>\n"}, "includes torch/torch.h")

    def test_stage_includes_a_stage(self):
        self.expect({"src/train/fit.cc": '#include "replay/buffer.h"\n'}, "stage train includes replay/buffer.h")

    def test_folder_uses_one_below_it(self):
        self.expect({"src/model/forward.cc": '#include "loop/run.h"\n', "src/loop/run.h": ""},
                    "stands below model")

    def test_a_kind_of_run_uses_another(self):
        self.expect({"src/loop/rl/parts.h": "", "src/loop/offline/sft.h": '#include "loop/rl/parts.h"\n'},
                    "src/loop/offline/sft.h", "loop/rl/parts.h")

    def test_folder_missing_from_the_order(self):
        self.expect({"src/extra/a.h": ""}, "folder extra is not in")

    def test_a_folder_with_too_many_sources(self):
        more = {f"src/base/part{i}.cc": "" for i in range(16)}
        self.expect(more, "src/base: 17 sources")

    def test_a_source_without_a_header(self):
        self.expect({"src/base/clock.cc": ""}, "src/base/clock.cc: no header declares it")

    def test_a_source_that_continues_a_header_or_has_a_door(self):
        more = {"src/base/CMakeLists.txt": "longshot_library(NAME base SRCS log.cc log_file.cc)\n"
                                           "longshot_test(NAME base_test SRCS log_test.cc DEPS base)\n",
                "src/base/log_file.cc": '#include "base/log.h"\n'}
        self.assertEqual(violations(more), [])
        more["src/base/CMakeLists.txt"] = more["src/base/CMakeLists.txt"].replace("log_file", "clock")
        more |= {"src/base/clock.cc": '#include "base/base.h"\n', "src/base/base.h": "#pragma once\n"}
        del more["src/base/log_file.cc"]
        self.assertEqual(violations(more), [])

    def test_a_long_function(self):
        body = "  int i = 0;\n" * 60
        for begin in ("void f(int a) {\n", "void Klass::f(const std::string& a,\n        int b) {\n",
                      "Klass::Klass(int a)\n    : a_(a),\n      b_(a) {\n"):
            lines = 61 + begin.count("\n")
            self.expect({"src/base/log.cc": f'#include "base/log.h"\n\n{begin}{body}}}\n'}, f"has {lines} lines")
        method = "class A {\n  void f() {\n" + body + "  }\n};\n"
        self.expect({"src/base/log.cc": method}, "f has 62 lines")

    def test_short_functions_one_after_another(self):
        short = "void f(int a) {\n  g(a);\n}\n\n" * 40
        self.assertEqual(violations({"src/base/log.cc": '#include "base/log.h"\n\n' + short}), [])

    def test_unregistered_test(self):
        self.expect({"src/base/clock_test.cc": ""}, "src/base/clock_test.cc", "no CMakeLists.txt")

    def test_commented_out_test_is_unregistered(self):
        self.expect({"src/base/CMakeLists.txt": "longshot_library(NAME base SRCS log.cc)\n"
                                                "# longshot_test(NAME base_test SRCS log_test.cc DEPS base)\n"},
                    "src/base/log_test.cc", "never compiled")

    def test_missing_dep(self):
        self.expect({"src/loop/CMakeLists.txt": "longshot_library(NAME loop SRCS run.cc DEPS train)\n"},
                    "DEPS lack replay")

    def test_unused_dep(self):
        self.expect({"src/replay/CMakeLists.txt": "longshot_library(NAME replay SRCS buffer.cc DEPS base model)\n"},
                    "DEPS name model")

    def test_dep_that_is_no_library(self):
        self.expect({"src/replay/CMakeLists.txt": "longshot_library(NAME replay SRCS buffer.cc DEPS base gone)\n"},
                    "DEPS name gone")

    def test_source_that_does_not_exist(self):
        self.expect({"src/replay/CMakeLists.txt": "longshot_library(NAME replay SRCS buffer.cc old.cc DEPS base)\n"},
                    "lists replay/old.cc")

    def test_long_file(self):
        self.expect({"src/base/log.h": "\n" * 401}, "src/base/log.h: 401 lines")


if __name__ == "__main__":
    unittest.main()
