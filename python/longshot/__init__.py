"""longshot from Python: the command line and the server, typed. Needs nothing but Python and the program.

    import longshot

    run = longshot.train("config.toml", {"trainer.total_iterations": 40}, on_metrics=lambda row: print(row["step"]))
    print(run.metrics()[-1]["val/accuracy"], run.model)
    print(longshot.evaluate(run.folder, "val.jsonl")["accuracy"])
    with longshot.serve(run.folder) as server:
        print(server.chat("What is 3+5?"))

Bad input raises BadInput with the program's own message, any other failure LongshotError. Ctrl-C stops the program as it does
on the command line, with the state saved.
"""

from longshot._commands import dpo, evaluate, generate, grade, rm, sft, train
from longshot._program import BadInput, LongshotError, program
from longshot._run import Row, Run
from longshot._server import Server, serve

__all__ = ["BadInput", "LongshotError", "Row", "Run", "Server", "dpo", "evaluate", "generate", "grade", "program", "rm", "serve",
           "sft", "train"]
