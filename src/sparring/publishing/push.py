"""Upload to and download from the Hugging Face hub. The hub's library reads the token: `hf auth login`, or HF_TOKEN.

Only the files named in FILES are transferred. They are JSON, tensors, texts and images; of downloaded files only JSON
and tensors are read.
"""

import filecmp
import json
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparring.config import ConfigError
from sparring.files import CheckpointError, is_leftover, load_tensors, write_atomic
from sparring.hub.client import MODEL, asking, download, library, repository
from sparring.pretrained import load, run_json, write_model
from sparring.privacy import without_paths
from sparring.publishing.card import model_card

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
    gan = load(run.resolve(), "cpu")
    hub = library()
    api = hub.HfApi()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        config = without_paths(gan.config)
        write_model(folder / "model.safetensors", load_tensors(run / "model.safetensors")[0], config, gan.spec)
        (folder / "config.json").write_text(json.dumps(run_json(config, gan.spec), indent=2), encoding="utf-8")
        card = model_card(gan, run, name, licence=licence, data_licence=data_licence)
        (folder / "README.md").write_text(card, encoding="utf-8")
        files = {file: folder / file for file in (*MODEL, "README.md")}
        files |= {file: run / file for file in BESIDE if (run / file).is_file()}
        sizes = {file: path.stat().st_size / 1000 for file, path in files.items()}
        log(f"uploading to {api.endpoint}/{name}: " + ", ".join(f"{file} ({kb:,.1f} kB)" for file, kb in sizes.items()))
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


def _check(hub: Any, card: str, licence: str | None) -> None:
    """Asks the hub to validate the card."""
    try:
        hub.ModelCard(card).validate(repo_type="model")
    except ValueError as error:
        if isinstance(error, OSError):  # no answer
            raise
        raise ConfigError(f"the hub refuses the card; does it know the licence {licence}? {error}") from error
