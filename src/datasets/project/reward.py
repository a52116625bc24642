import re


def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    """1 for the sorted letters, and a part of it for each letter in its place.

    solution_str is the model's response, ground_truth the field of the row with that name.
    Parameters that you do not need can be left out. You may return

    - a number. The response is right if it reaches `threshold`, which is 1 unless config.toml
      sets another one;
    - a dict with "score". "correct": True or False says whether the response is right, "answer"
      is shown with the samples, and each further number becomes a metric, reward/<its key>/mean.

    An exception does not count as a wrong answer: the response is left out of the training, and
    the run shows the reason.
    """
    last_line = solution_str.strip().rpartition("\n")[2]
    answer = "".join(re.findall("[a-h]", last_line.rpartition(":")[2].lower()))
    in_place = sum(a == b for a, b in zip(answer, ground_truth))
    score = in_place / max(len(answer), len(ground_truth))
    return {"score": score, "answer": answer, "letters": len(answer)}
