"""Valid inputs of every kind, made here, from which the campaign makes damaged ones."""

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

TINY = ["--num-samples=16", "--batch-size=8", "--device=cpu", "--model.width=16", "--model.num_heads=2",
        "--model.depth=1", "--evaluate-every=0", "--optim.warmup=0"]  # fmt: skip
CODEC = ["--codec.num_samples=16", "--codec.batch_size=8", "--codec.width=16"]
SOURCES = {
    "pictures": ("pictures", []),
    "series": ("table.csv", ["--window", "4"]),
    "texts": ("lines.txt", CODEC),
}
"""The data and settings of the runs that are damaged."""


def picture(index: int, mode: str = "RGB", side: int = 8) -> Image.Image:
    noise = np.random.default_rng(index).integers(0, 255, (side, side, 4), dtype=np.uint8)
    return Image.fromarray(noise, "RGBA").convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def images() -> dict[str, bytes]:
    """Pictures of every format, by file name."""
    found = {f"{mode.lower()}.png": saved(picture(1, mode), "PNG") for mode in ("L", "LA", "RGB", "RGBA", "P", "1")}
    found["deep.png"] = saved(Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 999), "PNG")
    found |= {"a.jpg": saved(picture(2), "JPEG"), "cmyk.jpg": saved(picture(2).convert("CMYK"), "JPEG")}
    found |= {"a.bmp": saved(picture(3), "BMP"), "a.webp": saved(picture(4), "WEBP"), "a.gif": saved(picture(5), "GIF")}
    found |= {"a.tiff": saved(picture(6), "TIFF"), "f.tif": saved(picture(6, "F"), "TIFF")}
    exif = Image.Exif()
    exif[0x0112] = 6
    return found | {"turned.jpg": saved(picture(7), "JPEG", exif=exif)}


def films() -> dict[str, bytes]:
    """Films of every format, by file name."""
    frames = [picture(index) for index in range(4)]
    moving = {"save_all": True, "append_images": frames[1:], "duration": 40}
    found = {
        "a.gif": saved(
            frames[0].convert("P"), "GIF", **(moving | {"append_images": [f.convert("P") for f in frames[1:]]})
        ),
        "a.webp": saved(frames[0], "WEBP", **moving),
        "a.png": saved(frames[0], "PNG", **moving),
    }
    try:
        import av
    except ImportError:
        return found
    for name in ("a.mp4", "a.webm"):
        file = io.BytesIO()
        with av.open(file, "w", format=name[2:]) as container:
            stream = container.add_stream("libvpx" if name == "a.webm" else "mpeg4", rate=25)
            stream.width = stream.height = 16
            for index in range(4):
                frame = av.VideoFrame.from_image(picture(index, side=16))
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        found[name] = file.getvalue()
    return found


def tables() -> dict[str, bytes]:
    """Tables of series, by file name."""
    rows = [f"2026-01-01 00:{s:02},{np.sin(s / 3):.4f},{1000 + s % 7}" for s in range(30)]
    csv = "\n".join(["time,height,count", *rows])
    series = "@problemName toy\n@timeStamps false\n@classLabel true a b\n@data\n" + "\n".join(
        f"{i}.0,2.5,3,4:1,2,{i},4:{'ab'[i % 2]}" for i in range(20)
    )
    found = {"table.csv": csv.encode(), "table.tsv": csv.replace(",", "\t").encode(), "series.ts": series.encode()}
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        return found
    for name, columns in (
        ("table.parquet", {"a": [s / 7 for s in range(30)], "b": list(range(30))}),
        ("texts.parquet", {"text": [f"a small cat {i}" for i in range(80)]}),
    ):
        file = io.BytesIO()
        parquet.write_table(pa.table(columns), file)
        found[name] = file.getvalue()
    return found


def texts() -> dict[str, bytes]:
    """Texts, by file name."""
    lines = [f"a {a} {b} on a {c}" for a in ("red", "old", "tiny") for b in ("cat", "dog", "bus", "kite") for c in
             ("road", "hill", "lake", "roof", "é", "漢字")]  # fmt: skip
    records = "\n".join(json.dumps({"text": line, "label": line[2]}) for line in lines)
    return {
        "lines.txt": "\n".join(lines).encode(), "lines.jsonl": records.encode(),
        "lines.csv": ("text,label\n" + "\n".join(f'"{line}",{line[2]}' for line in lines)).encode(),
    }  # fmt: skip


def arrays() -> dict[str, bytes]:
    """Arrays of pictures and series, by file name."""

    def npy(array: np.ndarray) -> bytes:
        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()

    def npz(pack: Callable[..., None], **named: np.ndarray) -> bytes:
        file = io.BytesIO()
        pack(file, **named)
        return file.getvalue()

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (12, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(12) % 2
    idx = b"\0\0\x08\x03" + struct.pack(">III", 12, 8, 8) + pictures[..., 0].tobytes()
    return {
        "grey.npy": npy(pictures[..., 0]), "floats.npy": npy(pictures.astype(np.float32) / 255),
        "clips.npy": npy(rng.random((6, 1, 4, 8, 8), np.float32)), "table.npy": npy(rng.random((30, 2))),
        "pictures.npz": npz(np.savez, images=pictures, labels=labels),
        "packed.npz": npz(np.savez_compressed, images=pictures, labels=labels),
        "series.npz": npz(np.savez, series=rng.random((20, 8, 2)), conditions=rng.random((20, 2))),
        "toy-images-idx3-ubyte": idx, "toy-images-idx3-ubyte.gz": gzip.compress(idx),
    }  # fmt: skip


def zipped(members: dict[str, bytes], *, packed: bool = True) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def write_sources(folder: Path) -> None:
    """The data of the runs that are damaged."""
    for index in range(16):
        path = folder / "pictures" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved(picture(index), "PNG"))
    (folder / "table.csv").write_bytes(tables()["table.csv"])
    (folder / "lines.txt").write_bytes(texts()["lines.txt"])
