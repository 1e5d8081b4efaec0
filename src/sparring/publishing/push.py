"""Upload to and download from the Hugging Face hub. The hub's library reads the token: `hf auth login`, or HF_TOKEN.

Only the files named in FILES are transferred. They are JSON, tensors, texts and images; of downloaded files only JSON
and tensors are read. Uploaded are files that lie in the run's folder: in a stranger's folder any of them may be a link
to a private file.
"""

import filecmp
import io
import json
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from sparring.config import ConfigError
from sparring.files import CheckpointError, is_leftover, load_tensors, write_atomic
from sparring.hub.client import MODEL, asking, download, library, repository
from sparring.pretrained import load, run_json, write_model
from sparring.privacy import without_paths
from sparring.publishing.card import model_card
from sparring.regular_files import read_regular
from sparring.training.logs import MAX_BYTES, row_of

BESIDE = (
    "samples.png", "samples.webp", "samples.txt", "training.png", "verdict.txt", "metrics.json", "best/metrics.json",
)  # fmt: skip
FILES = (*MODEL, "README.md", *BESIDE)


def push(
    run: str | Path,
    name: str,
    *,
    private: bool = False,
    licence: str | None = None,
    data_licence: str | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> str:
    """Uploads the GAN of a run's folder as one commit to the repository `name` (USER/NAME), which is created if
    necessary; returns its address.

    Paths in the settings are shortened to their last part. Raises `ConfigError` or `CheckpointError`.
    """
    run, name = Path(run), repository(name)
    if licence is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", licence := licence.lower()):
        raise ConfigError(f"--licence {licence} is no name of a licence on the hub, such as apache-2.0 or cc-by-4.0")
    if not run.is_dir():
        raise CheckpointError(f"{run} is no folder of a run")
    for file in MODEL:
        _inside(run, file)
    gan = load(run.resolve(), "cpu")
    hub = library()
    api = hub.HfApi()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        config = without_paths(gan.config)
        write_model(folder / "model.safetensors", load_tensors(run / "model.safetensors")[0], config, gan.spec)
        (folder / "config.json").write_text(json.dumps(run_json(config, gan.spec), indent=2), encoding="utf-8")
        left_out = _copy_checked(run, folder)
        card = model_card(gan, folder, name, licence=licence, data_licence=data_licence)
        (folder / "README.md").write_text(card, encoding="utf-8")
        files = {file: folder / file for file in (*MODEL, "README.md")}
        files |= {file: folder / file for file in BESIDE if (folder / file).is_file()}
        sizes = {file: path.stat().st_size / 1000 for file, path in files.items()}
        log(f"uploading to {api.endpoint}/{name}: " + ", ".join(f"{file} ({kb:,.1f} kB)" for file, kb in sizes.items()))
        if left_out:
            log("left out: " + ", ".join(f"{file} ({reason})" for file, reason in left_out.items()))
        with asking(name):
            _check(hub, card, licence)  # before the repository is created
            api.create_repo(name, private=private or None, exist_ok=True)
            earlier = api.list_repo_files(name)
            public = private and not api.model_info(name).private
        if public:
            raise ConfigError(f"{name} is already on the hub and public: name another, or drop --private")
        changes = [hub.CommitOperationAdd(file, path) for file, path in files.items()]
        changes += [hub.CommitOperationDelete(file) for file in earlier if file in FILES and file not in files]
        with asking(name):
            api.create_commit(name, changes, commit_message=f"GAN of {config.data.path}, by Sparring")
    return f"{api.endpoint}/{name}"


def pull(name: str, out: str | Path | None = None) -> Path:
    """Downloads the GAN `name` (USER/NAME), checks that it can be loaded, and copies it into the folder `out` (unset:
    runs/NAME), which is returned. Existing files are not changed.

    Raises `ConfigError` if the folder holds something else, `CheckpointError` if `name` is no GAN.
    """
    name = repository(name)
    folder = Path(out or Path("runs") / name.partition("/")[2])
    model = folder / "model.safetensors"
    occupied = ConfigError(f"--out {folder} already holds something else: name a new folder")
    if folder.exists() and not (folder.is_dir() and (model.is_file() or all(map(is_leftover, folder.iterdir())))):
        raise occupied
    found = download(name, FILES)
    try:
        load(found, "cpu")
    except (ValueError, RuntimeError, MemoryError) as error:  # RuntimeError: deeply nested JSON, for example
        raise CheckpointError(f"{name} holds no GAN that can be loaded: {error}") from error
    if model.exists() and not filecmp.cmp(found / "model.safetensors", model, shallow=False):
        raise occupied
    for file in FILES:  # model first, so that the same command resumes an interrupted download
        if (found / file).is_file() and not (folder / file).exists():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / file, lambda temporary, source=found / file: shutil.copyfile(source, temporary))
    return folder


def _inside(run: Path, file: str) -> Path:
    """The file's path, free of links; raises `CheckpointError` if that lies outside the run's folder."""
    path = (run / file).resolve()
    if not path.is_relative_to(run.resolve()):
        raise CheckpointError(
            f"{run / file} is a link that leads out of the folder: put a copy of the file in its place"
        )
    return path


def _copy_checked(run: Path, folder: Path) -> dict[str, str]:
    """Copies what goes beside the model, and the metrics for the card, if it is what its name says. Returns the reason
    for each file that is left out."""
    left_out = {}
    for file in (*BESIDE, "metrics.jsonl"):
        try:
            content = read_regular(_inside(run, file), MAX_BYTES, CheckpointError)
            _check_kind(file, content)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (CheckpointError, OSError) as error:
            left_out[file] = (error.strerror if isinstance(error, OSError) else None) or str(error).partition(":")[0]
            continue
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(content)
    return left_out


def _check_kind(file: str, content: bytes) -> None:
    """Raises `CheckpointError` for a picture that is none, and for metrics that are no row of numbers."""
    suffix = Path(file).suffix
    if suffix in (".png", ".webp"):
        try:
            with Image.open(io.BytesIO(content), formats=(suffix[1:],)) as image:
                image.verify()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            raise CheckpointError("it is no picture") from None
    if suffix == ".json" and row_of(content) is None:
        raise CheckpointError("it holds no scores")


def _check(hub: Any, card: str, licence: str | None) -> None:
    """Asks the hub to validate the card."""
    try:
        hub.ModelCard(card).validate(repo_type="model")
    except ValueError as error:
        if isinstance(error, OSError):  # no answer
            raise
        raise ConfigError(f"the hub refuses the card; does it know the licence {licence}? {error}") from error
