"""Series as files, and what is read from them again."""

import io

import numpy as np
import torch

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal([3, -40, 1e4], [1, 5, 2e3], (60, 3)).astype(np.float32)
ROWS = RANDOM.normal(2, 3, (7, 12)).astype(np.float32)
NAN = np.nan


def written(tmp_path, text, name="set.csv"):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(tmp_path / name)


def lines(values, mark=","):
    return "\n".join(mark.join("" if np.isnan(v) else repr(float(v)) for v in row) for row in values) + "\n"


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "set.npz", **arrays)
    return str(tmp_path / "set.npz")


def npy(array, shape=None):
    buffer = io.BytesIO()
    np.save(buffer, array)
    content = buffer.getvalue()
    return content if shape is None else content.replace(repr(array.shape).encode(), shape.encode(), 1)


def restored(dataset):
    """All samples in the file's own units: (N, C, T), NaN beyond a series' end."""
    return dataset.channels.restore(dataset.batch(torch.arange(len(dataset)))[0]).numpy()


def windows(table, size, stride=1):
    return np.stack([table[start : start + size].T for start in range(0, len(table) - size + 1, stride)])


def close(left, right):
    return left.shape == right.shape and np.allclose(left, right, rtol=1e-5, atol=1e-5, equal_nan=True)


def notes(dataset):
    return " | ".join(dataset.describe()["notes"])
