"""One damaged input of each kind: its files are written to the folder `in`, and a command that reads it is returned."""

import bz2
import gzip
import io
import json
import lzma
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from campaigns import generated, inputs, mutations
from campaigns.mutations import changed_bytes, changed_json, changed_png, changed_safetensors, changed_text, word

Words = list[str]
Valid = Mapping[str, bytes]

NAMES = (
    "a.png",
    "b/c.png",
    "../evil.png",
    "/abs.png",
    "\x1b[31mred.png",
    "a" * 300 + ".png",
    "é/漢.png",
    "a/../../b.png",
    ".png",
    "..",
    "",
    "con.png",
    "x/",
    "a\nb.png",
    "a.txt",
    "labels.csv",
    "b/\u202egnp.png",
    "c:\\d.png",
    "__MACOSX/._a.png",
)


def damaged(name: str, content: bytes, rng: Random, others: Valid) -> bytes:
    """A file of a kind that its name tells, damaged in a way that suits it."""
    if name.endswith(".png") and rng.random() < 0.5:
        return changed_png(content, rng)
    if name.endswith((".csv", ".tsv", ".ts", ".txt", ".jsonl")) and rng.random() < 0.7:
        text = changed_text(content.decode(), rng)
        return text.encode(rng.choice(("utf-8",) * 6 + ("utf-16", "latin-1")), "replace")
    return changed_bytes(content, rng, list(others.values()))


def file_of(valid: Valid, folder: Path, rng: Random) -> Path:
    """A damaged copy of one of the files."""
    name = rng.choice(sorted(valid))
    path = folder / name
    path.write_bytes(damaged(name, valid[name], rng, valid))
    return path


def some(rng: Random, *options: Words) -> Words:
    """Now and then one of the options."""
    return rng.choice(options) if rng.random() < 0.5 else []


def strange(kind: str, folder: Path, rng: Random) -> Path:
    """A well-formed file of the kind with strange content."""
    made = {name: content for name, content in generated.files(rng).items() if name.startswith(kind)}
    path = folder / rng.choice(sorted(made))
    path.write_bytes(made[path.name])
    return path


class Kinds:
    """Every kind by name; `store` holds the valid sources and runs."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.images, self.films, self.tables = inputs.images(), inputs.films(), inputs.tables()
        self.texts, self.arrays = inputs.texts(), inputs.arrays()
        self.all: dict[str, Callable[[Path, Random], Words]] = {
            name: getattr(self, name)
            for name in (
                "image",
                "archive",
                "table",
                "array",
                "film",
                "text",
                "labels",
                "run",
                "latents",
                "checkpoint",
                "setting",
                "option",
            )
        }

    def image(self, folder: Path, rng: Random) -> Words:
        for index in range(2):
            (folder / f"good{index}.png").write_bytes(self.images["rgb.png"])
        for _ in range(rng.choice((1, 3))):
            file_of(self.images, folder, rng)
        return ["data", str(folder), *some(rng, ["--resolution", "8"], ["--resolution", mutations.number(rng)])]

    def archive(self, folder: Path, rng: Random) -> Words:
        members = dict.fromkeys(("a/1.png", "a/2.png", "b/3.png"), self.images["rgb.png"])
        for _ in range(rng.randrange(4)):
            name = rng.choice(sorted(self.images))
            members[rng.choice(NAMES)] = rng.choice(
                (self.images[name], damaged(name, self.images[name], rng, self.images))
            )
        ending = rng.choice((".zip", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"))
        if ending == ".zip":
            content = inputs.zipped({n or "x": c for n, c in members.items()}, packed=rng.random() < 0.5)
            pack = bytes
        else:
            content = _tar(members, rng)
            pack = {"z": gzip.compress, "2": bz2.compress, "x": lzma.compress}.get(
                "z" if ending.endswith("gz") else "2" if ending.endswith("2") else "x" if ending.endswith("xz") else "",
                bytes,
            )
        before = rng.random()
        content = changed_bytes(content, rng) if before < 0.5 else content
        content = pack(content)
        content = changed_bytes(content, rng) if before > 0.75 else content
        path = folder / f"set{ending}"
        path.write_bytes(content)
        return ["data", str(path), *some(rng, ["--resolution", "8"], ["--frames", "2"])]

    def table(self, folder: Path, rng: Random) -> Words:
        if rng.random() < 0.2:
            for index in range(3):
                (folder / f"{index}.csv").write_bytes(self.tables["table.csv"])
            file_of(self.tables, folder, rng)
            path = folder
        else:
            path = strange("table", folder, rng) if rng.random() < 0.5 else file_of(self.tables, folder, rng)
        window = ["--window", rng.choice(("4", "4", "4", "30", mutations.number(rng)))]
        return ["data", str(path), *window, *some(rng, ["--fill-gaps"], ["--field", "text"], ["--stride", "2"])]

    def array(self, folder: Path, rng: Random) -> Words:
        path = strange("array", folder, rng) if rng.random() < 0.6 else file_of(self.arrays, folder, rng)
        return [
            "data",
            str(path),
            *some(rng, ["--window", "4"], ["--resolution", "4"], ["--frames", "2"], ["--condition", "numbers"]),
        ]

    def film(self, folder: Path, rng: Random) -> Words:
        path = file_of(self.films, folder, rng)
        if rng.random() < 0.5:
            good = rng.choice(sorted(self.films))
            (folder / f"good-{good}").write_bytes(self.films[good])
            path = folder
        return [
            "data",
            str(path),
            "--frames",
            rng.choice(("2", "2", "4", mutations.number(rng))),
            *some(rng, ["--resolution", "8"], ["--frame-step", "2"]),
        ]

    def text(self, folder: Path, rng: Random) -> Words:
        path = strange("text", folder, rng) if rng.random() < 0.5 else file_of(self.texts, folder, rng)
        return [
            "data",
            str(path),
            *some(
                rng,
                ["--tokenizer", "bpe"],
                ["--tokenizer", "char"],
                ["--field", "text"],
                ["--split", "sentence"],
                ["--length", mutations.number(rng)],
            ),
        ]

    def labels(self, folder: Path, rng: Random) -> Words:
        """Labels and conditions beside good pictures."""
        shutil.copytree(self.store / "pictures", folder / "pictures")
        rows = "file,label\n" + "\n".join(f"{'ab'[i % 2]}/{i}.png,{i}.5 {i * 2}" for i in range(16))
        path = folder / "labels.csv"
        if rng.random() < 0.3:
            path = file_of({"c.npy": self.arrays["table.npy"], "c.npz": self.arrays["series.npz"]}, folder, rng)
            return ["data", str(folder / "pictures"), "--condition", str(path)]
        if rng.random() < 0.6:
            path = strange("labels", folder, rng)
            return ["data", str(folder / "pictures"), "--labels", str(path), *some(rng, ["--condition", "numbers"])]
        path.write_bytes(damaged("labels.csv", rows.encode(), rng, self.tables))
        return ["data", str(folder / "pictures"), "--labels", str(path), *some(rng, ["--condition", "numbers"])]

    def run(self, folder: Path, rng: Random) -> Words:
        source = rng.choice(sorted(inputs.SOURCES))
        run = folder / "run"
        shutil.copytree(self.store / "runs" / source, run)
        self._damage_run(run, rng)
        return rng.choice(
            (
                ["info", str(run)],
                ["info", str(run), "--json"],
                ["sample", str(run), "--num", "2"],
                ["sample", str(run), "--num", "2", "--truncation", "0.5"],
                ["interpolate", str(run), "--frames", "2", "--num", "1"],
                ["explore", str(run)],
            )
        )

    def _damage_run(self, run: Path, rng: Random) -> None:
        config, rows, model = run / "config.json", run / "metrics.jsonl", run / "model.safetensors"
        match rng.randrange(8):
            case 0 | 1 | 2:
                config.write_text(json.dumps(changed_json(json.loads(config.read_text()), rng)))
            case 3:
                text = mutations.nested_json(rng) if rng.random() < 0.2 else changed_text(config.read_text(), rng)
                config.write_text(text, errors="replace")
            case 4:
                model.write_bytes(changed_safetensors(model.read_bytes(), rng))
            case 5:
                model.write_bytes(changed_bytes(model.read_bytes(), rng))
            case 6:
                lines = rows.read_text().splitlines() + [mutations.nested_json(rng)] * (rng.random() < 0.1)
                changed = json.dumps(changed_json(json.loads(rng.choice(lines[:1])), rng))
                rows.write_text(
                    "\n".join([*lines, rng.choice((changed, changed_text(changed, rng)))]) + "\n", errors="replace"
                )
            case _:
                (run / "verdict.txt").write_bytes(changed_bytes(b"Healthy: \x1b[31mred\n", rng))

    def latents(self, folder: Path, rng: Random) -> Words:
        content = (self.store / "latents.safetensors").read_bytes()
        path = folder / "latents.safetensors"
        path.write_bytes(changed_safetensors(content, rng) if rng.random() < 0.7 else changed_bytes(content, rng))
        return ["explore", str(self.store / "runs" / "pictures"), "--latents", str(path)]

    def checkpoint(self, folder: Path, rng: Random) -> Words:
        """A damaged run that the command that made it resumes."""
        source = rng.choice(sorted(inputs.SOURCES))
        run = folder / "run"
        shutil.copytree(self.store / "runs" / source, run)
        for path in sorted((run / "checkpoints").iterdir()):
            if rng.random() < 0.7:
                content = path.read_bytes()
                path.write_bytes(
                    changed_safetensors(content, rng) if rng.random() < 0.7 else changed_bytes(content, rng)
                )
        if rng.random() < 0.4:
            self._damage_run(run, rng)
        data, settings = inputs.SOURCES[source]
        return ["train", str(self.store / data), "--out", str(run), *inputs.TINY, *settings]

    def setting(self, folder: Path, rng: Random) -> Words:
        """Settings typed for a run that exists: good ones are refused there, so that nothing trains."""
        from sparring.config import describe

        run = folder / "run"
        shutil.copytree(self.store / "runs" / "pictures", run)
        names = [row[0] for row in describe()]
        words = ["train", str(self.store / "pictures"), "--out", str(run), *inputs.TINY]
        for _ in range(rng.choice((1, 1, 2, 4))):
            name = rng.choice(names)
            name = (
                name if rng.random() < 0.9 else rng.choice((word(rng), name + word(rng), name[:-1], "critics.1.view"))
            )
            typed = rng.choice(
                (mutations.number(rng), mutations.word(rng), json.dumps(mutations.value(rng)), "2", "0.5")
            )
            if name.startswith("train.") and typed.strip("0123456789e.") == "":
                typed = "x"  # these may change, and would train for long
            words += rng.choice(([f"--{name}={typed}"], [f"--{name}", typed]))
        return [_typeable(word) for word in words]

    def option(self, folder: Path, rng: Random) -> Words:
        """Options of commands on good runs and data."""
        source = rng.choice(sorted(inputs.SOURCES))
        run, data = self.store / "runs" / source, self.store / inputs.SOURCES[source][0]
        command, names, base = rng.choice(
            (
                (
                    "sample",
                    ("--seed", "--class", "--condition", "--truncation", "--reject", "--out", "--plot", "--device"),
                    [run, "--num=2"],
                ),
                ("interpolate", ("--seed", "--class", "--out", "--device"), [run, "--frames=2", "--num=1"]),
                ("reconstruct", ("--seed", "--out", "--data", "--device"), [run, "--num=2"]),
                (
                    "data",
                    (
                        "--resolution",
                        "--labels",
                        "--condition",
                        "--window",
                        "--stride",
                        "--frames",
                        "--frame-step",
                        "--field",
                        "--split",
                        "--tokenizer",
                        "--vocabulary",
                        "--length",
                        "--out",
                    ),
                    [data],
                ),
            )
        )
        words = [command, *map(str, base)]
        for _ in range(rng.choice((1, 2, 3))):
            name = rng.choice(names)
            typed = rng.choice((word, mutations.number))(rng) if rng.random() < 0.8 else rng.choice("0123")
            if name in ("--out", "--plot"):  # no path that leaves the folder
                typed = typed.replace("/", "").replace("..", "")
            words += rng.choice(([f"{name}={typed}"], [name, typed]))
        return [_typeable(word) for word in words]


def _typeable(word: str) -> str:
    """A word as a shell can pass it: without NUL, as UTF-8."""
    return word.replace("\0", "").encode("utf-8", "replace").decode()[:100_000]


def _tar(members: Mapping[str, bytes], rng: Random) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            if rng.random() < 0.1:
                entry.type, entry.linkname = rng.choice(
                    (
                        (tarfile.SYMTYPE, "/etc/passwd"),
                        (tarfile.LNKTYPE, "a/1.png"),
                        (tarfile.FIFOTYPE, ""),
                        (tarfile.CHRTYPE, ""),
                    )
                )
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()
