"""A GAN to the Hugging Face hub and back. The token is the library's own affair: `hf auth login`, or HF_TOKEN.

What is taken in either direction is the list FILES, by name, and nothing else; what comes from the hub is JSON,
tensors, text and pictures, of which only the first two are read.
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
from sparring.files import CheckpointError, load_tensors, write_atomic
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
    say: Callable[[str], None] = lambda line: None,
) -> str:
    """Uploads the GAN of a run's folder as one commit to `name` (USER/NAME), which is made where it is not there yet;
    returns its address.

    Of paths in the settings only the last part is published. Raises `ConfigError` or `CheckpointError`.
    """
    run, name = Path(run), repository(name)
    if licence is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", licence := licence.lower()):
        raise ConfigError(f"--licence {licence} is no licence's name on the hub, such as apache-2.0 or cc-by-4.0")
    if not run.is_dir():
        raise CheckpointError(f"{run} is no run's folder")
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
        say(f"uploading to {api.endpoint}/{name}: " + ", ".join(f"{file} ({kb:,.1f} kB)" for file, kb in sizes.items()))
        with asking(name):
            _check(hub, card, licence)  # before anything is made there
            api.create_repo(name, private=private or None, exist_ok=True)
            earlier = api.list_repo_files(name)
            public = private and not api.model_info(name).private
        if public:
            raise ConfigError(f"{name} is on the hub already and public: name another, or drop --private")
        changes = [hub.CommitOperationAdd(file, path) for file, path in files.items()]
        changes += [hub.CommitOperationDelete(file) for file in earlier if file in FILES and file not in files]
        with asking(name):
            api.create_commit(name, changes, commit_message=f"GAN of {config.data.path}, by Sparring")
    return f"{api.endpoint}/{name}"


def pull(name: str, out: str | Path | None = None) -> Path:
    """Downloads the GAN `name` (USER/NAME) into the folder `out` (unset: runs/NAME), which is returned, once it is
    known that it can be loaded. What lies there already stays as it is.

    Raises `ConfigError` where something else is there, `CheckpointError` for what is no GAN.
    """
    name = repository(name)
    folder = Path(out or Path("runs") / name.partition("/")[2])
    there = folder / "model.safetensors"
    occupied = ConfigError(f"--out {folder} holds something else already: name a new folder")
    if folder.exists() and not (folder.is_dir() and (there.is_file() or not any(folder.iterdir()))):
        raise occupied
    found = download(name, FILES)
    try:
        load(found, "cpu")
    except (ValueError, RuntimeError, MemoryError) as error:  # of JSON too deep to read, among others
        raise CheckpointError(f"{name} holds no GAN that can be loaded: {error}") from error
    if there.exists() and not filecmp.cmp(found / "model.safetensors", there, shallow=False):
        raise occupied
    for file in FILES:  # the model first: interrupted, the same command finds it and goes on
        if (found / file).is_file() and not (folder / file).exists():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / file, lambda temporary, source=found / file: shutil.copyfile(source, temporary))
    return folder


def _check(hub: Any, card: str, licence: str | None) -> None:
    """Asks the hub whether it takes the card."""
    try:
        hub.ModelCard(card).validate(repo_type="model")
    except ValueError as error:
        if isinstance(error, OSError):  # no answer at all
            raise
        raise ConfigError(f"the hub refuses the card; does it know the licence {licence}? {error}") from error
