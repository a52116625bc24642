"""The command `longshot` of the wheel: becomes the program itself, so signals and exit codes are the program's."""

import os
import sys

from longshot._program import program


def main() -> None:
    os.execv(program(), ["longshot", *sys.argv[1:]])


if __name__ == "__main__":
    main()
