# Runs generator.py for one case: `main.py SEED CASE`. CYaRon draws from the module random, which is
# seeded after every module that could draw from it has been loaded.
import random
import runpy
import sys

import cyaron  # noqa: F401

seed = sys.argv.pop(1)
random.seed(seed)
runpy.run_path("generator.py", run_name="__main__")
