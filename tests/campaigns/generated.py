"""Inputs that are well formed and strange: arrays, tables and labels with content that nobody expects."""

import csv
import io
import json
from collections.abc import Mapping
from random import Random

import numpy as np

from campaigns import mutations

DTYPES = (
    "u1",
    "i1",
    "u2",
    ">i4",
    "i8",
    "f2",
    "f4",
    "f8",
    ">f8",
    "c8",
    "?",
    "U3",
    "S3",
    "M8[s]",
    "m8[D]",
    "V4",
    "u1,f4",
    "f4",
)
SIDES = (0, 1, 1, 2, 3, 4, 5, 8, 17)
KEYS = (
    "images",
    "labels",
    "series",
    "conditions",
    "x",
    "y",
    "lengths",
    "channels",
    "arr_0",
    "\x1b[31m",
    "../evil",
    "é",
    "classes",
)
CELLS = (
    "",
    " ",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1,5",
    "1.5.2",
    "0x1p3",
    "١٢",
    "2026-02-30",
    "2026-01-01T00:00:00Z",
    "true",
    "\x1b[2J",
    "'",
    '"',
    "é",
    "-",
    "1e-400",
    "9" * 30,
    "a" * 300,
    "?",
    "NULL",
    "1_000",
)


def array(rng: Random) -> np.ndarray:
    """An array of any type and shape, with numbers at the edges now and then."""
    kind = rng.choice(DTYPES)
    shape = tuple(rng.choice(SIDES) for _ in range(rng.randrange(7)))
    count = int(np.prod(shape, dtype=np.int64))
    if count > 200_000:
        shape, count = (4, 8, 8), 256
    dtype = np.dtype(kind)
    if dtype.names or rng.random() < 0.3:
        return np.frombuffer(rng.randbytes(count * dtype.itemsize), dtype, count).reshape(shape)
    numbers = np.random.default_rng(rng.randrange(2**32)).integers(0, rng.choice((2, 5, 127)), count)
    found = numbers.astype(dtype) if dtype.kind != "V" else np.zeros(count, dtype)
    if count and dtype.kind == "f" and rng.random() < 0.4:
        found[rng.randrange(count)] = rng.choice((np.nan, np.inf, -np.inf, np.finfo(dtype).max, np.finfo(dtype).tiny))
    return np.asarray(found.reshape(shape), order=rng.choice(("C", "F")))


def npy(rng: Random) -> bytes:
    file = io.BytesIO()
    np.save(file, array(rng))
    return file.getvalue()


def npz(rng: Random) -> bytes:
    file = io.BytesIO()
    np.savez(file, **{rng.choice(KEYS): array(rng) for _ in range(rng.choice((0, 1, 2, 2, 3)))})
    return file.getvalue()


def table(rng: Random) -> bytes:
    """A table of text, most cells of which are numbers."""
    columns, file = rng.choice((0, 1, 2, 3, 40)), io.StringIO()
    writer = csv.writer(file, delimiter=rng.choice(",,,;\t|"), quoting=rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
    odd = rng.choice((0, 0.01, 0.2))
    if rng.random() < 0.8:
        names = [
            rng.choice(("a", "b", "time", "label", "series", "text", "file", "", "1", mutations.word(rng)))
            for _ in range(columns)
        ]
        writer.writerow([name.encode("utf-8", "replace").decode() for name in names])
    for row in range(rng.choice((0, 1, 5, 30))):
        cells = [rng.choice(CELLS) if rng.random() < odd else str(row / 7 + column) for column in range(columns)]
        writer.writerow(cells[: rng.choice((columns,) * 9 + (1,))])
    return file.getvalue().encode(rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32")))


def parquet(rng: Random) -> bytes:
    """A Parquet file with columns of any type."""
    import pyarrow as pa
    from pyarrow import parquet as files

    count = rng.choice((0, 1, 30))
    makers = (
        lambda: pa.array([i / 3 for i in range(count)]),
        lambda: pa.array(range(count)),
        lambda: pa.array([None] * count),
        lambda: pa.array([None if i % 5 == 2 else float(i) for i in range(count)]),
        lambda: pa.array(["a", "b", None] * count)[:count],
        lambda: pa.array([[i, 1] for i in range(count)], pa.list_(pa.int64())),
        lambda: pa.array([{"a": i} for i in range(count)], pa.struct([("a", pa.int32())])),
        lambda: pa.array([i % 2 == 0 for i in range(count)]),
        lambda: pa.array(range(count), pa.timestamp("ns")),
        lambda: pa.array([bytes([i]) for i in range(count)], pa.binary()),
        lambda: pa.array(["x"] * count).dictionary_encode(),
        lambda: pa.array(range(count), pa.date32()),
        lambda: pa.array([2**63 + i for i in range(count)], pa.uint64()),
        lambda: pa.array([float("nan")] * count),
        lambda: pa.array(range(count)).cast(pa.decimal128(20, 0)),
        lambda: pa.array([[0.5, 1.5]] * count, pa.list_(pa.float32(), 2)),
        lambda: pa.array(range(count), pa.duration("s")),
    )
    names = [
        rng.choice(("a", "b", "label", "text", "time", "", "\x1b[31m", "series", "c.d"))
        for _ in range(rng.choice((0, 1, 2, 3)))
    ]
    file = io.BytesIO()
    files.write_table(
        pa.table([rng.choice(makers)() for _ in names], names=names), file, compression=rng.choice(("none", "zstd"))
    )
    return file.getvalue()


def labels(rng: Random) -> bytes:
    """Labels of the campaign's pictures, one value of them strange."""
    kind = rng.choice(
        (
            lambda i: "xy"[i % 2],
            lambda i: f"{i}.5 {i}",
            lambda i: f"{i / 3}",
            lambda i: rng.choice(CELLS),
            lambda i: i % 3,
        )
    )
    rows, file = [[f"{'ab'[i % 2]}/{i}.png", kind(i)] for i in range(16)], io.StringIO()
    if rng.random() < 0.7:
        rows[rng.randrange(16)][rng.choice((0, 1, 1, 1))] = rng.choice(
            (*CELLS, "1 2 3", "0 nan", "../a/0.png", "a/0.png", "/a/0.png")
        )
    csv.writer(file).writerows([["file", "label"], *rows])
    return file.getvalue().encode()


def records(rng: Random) -> bytes:
    """Lines of JSON objects, most with a text."""
    lines = []
    for index in range(rng.choice((0, 1, 70))):
        record = {"text": f"a small cat {index} sits", "label": "ab"[index % 2]}
        if rng.random() < 0.03:
            record = mutations.changed_json(record, rng)
        lines.append(json.dumps(record, ensure_ascii=rng.random() < 0.5))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def lines(rng: Random) -> bytes:
    """A text of odd characters, in scripts of all directions."""
    ranges = (
        (0x20, 0x7F),
        (0x4E00, 0x4F00),
        (0x600, 0x6FF),
        (0x1F600, 0x1F64F),
        (0x300, 0x36F),
        (0x200B, 0x2070),
        (0xE000, 0xE010),
    )
    low, high = rng.choice(ranges)
    found = [
        "".join(chr(rng.randrange(low, high)) for _ in range(rng.choice((0, 1, 12, 200))))
        for _ in range(rng.choice((1, 70, 200)))
    ]
    if rng.random() < 0.5:
        found = [f"{line} {index} word" for index, line in enumerate(found)]
    return rng.choice(("\n", "\r\n", "\r", "\u2028")).join(found).encode()


def files(rng: Random) -> Mapping[str, bytes]:
    """One file of each kind, by the campaign's kind and the file's ending."""
    return {
        "array.npy": npy(rng),
        "array.npz": npz(rng),
        "table.csv": table(rng),
        "table.tsv": table(rng),
        "table.parquet": parquet(rng),
        "labels.csv": labels(rng),
        "text.jsonl": records(rng),
        "text.txt": lines(rng),
        "text.csv": table(rng),
    }
