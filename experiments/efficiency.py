"""Token efficiency from the samples of `longshot eval`: accuracy under a budget, and against a model that is cut."""
import json


def read_samples(path):
    """(correct, tokens) of each sample of the file."""
    rows = map(json.loads, path.read_text().splitlines())
    return [(row["correct"], row["tokens"]) for row in rows]


def accuracy(samples):
    return sum(right for right, _ in samples) / len(samples)


def mean_tokens(samples):
    return sum(tokens for _, tokens in samples) / len(samples)


def cut(samples, budget):
    """The samples if each response ended after `budget` tokens: a response that is cut has no answer."""
    return [(right and tokens <= budget, min(tokens, budget)) for right, tokens in samples]


def under_budgets(samples, budgets):
    """Mean over the budgets of the accuracy under each."""
    return sum(accuracy(cut(samples, budget)) for budget in budgets) / len(budgets)


def curve(samples, budgets):
    """(mean tokens, accuracy) under each budget."""
    return [(mean_tokens(own), accuracy(own)) for own in (cut(samples, budget) for budget in budgets)]


def accuracy_at(samples, length):
    """Accuracy if the responses are cut at the budget at which they have `length` tokens on average, interpolated
    between whole budgets; the accuracy of the whole samples if they are not longer than that."""
    before = (0.0, 0.0)
    for after in curve(samples, range(1, max(tokens for _, tokens in samples) + 1)):
        if after[0] >= length:
            share = (length - before[0]) / (after[0] - before[0])
            return before[1] + share * (after[1] - before[1])
        before = after
    return before[1]


def excess(samples, reference):
    """Token efficiency: accuracy minus that of the reference cut to the same mean number of tokens."""
    return accuracy(samples) - accuracy_at(reference, mean_tokens(samples))
