"""A GAN to the Hugging Face hub and back. The token is the library's own affair: `hf auth login`, or HF_TOKEN.

What is taken in either direction is the list FILES, by name, and nothing else; what comes from the hub is JSON,
tensors, text and pictures, of which only the first two are read.
"""

import contextlib
import filecmp
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from sparring.config import ConfigError
from sparring.data.hub import PREFIX
from sparring.model_card import model_card
from sparring.pretrained import load, run_json, write_model
from sparring.privacy import without_paths
from sparring.training.checkpoint import CheckpointError, load_tensors, write_atomic

NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
MODEL = ("model.safetensors", "config.json")
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
    library = _library()
    api = library.HfApi()
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
        with _asking(name):
            _check(library, card, licence)  # before anything is made there
            api.create_repo(name, private=private or None, exist_ok=True)
            earlier = api.list_repo_files(name)
            public = private and not api.model_info(name).private
        if public:
            raise ConfigError(f"{name} is on the hub already and public: name another, or drop --private")
        changes = [library.CommitOperationAdd(file, path) for file, path in files.items()]
        changes += [library.CommitOperationDelete(file) for file in earlier if file in FILES and file not in files]
        with _asking(name):
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


def download(name: str, files: Collection[str] = MODEL) -> Path:
    """A folder of the library's cache with those of the files that `name` (USER/NAME) has, of the model's all."""
    library = _library()
    with _asking(name):
        found = Path(library.snapshot_download(name, allow_patterns=list(files)))
    for file in MODEL:
        if not (found / file).is_file():
            raise CheckpointError(f"{name} is on the hub, but no GAN made with Sparring: it has no {file}")
    return found


def _check(library: Any, card: str, licence: str | None) -> None:
    """Asks the hub whether it takes the card."""
    try:
        library.ModelCard(card).validate(repo_type="model")
    except ValueError as error:
        if isinstance(error, OSError):  # no answer at all
            raise
        raise ConfigError(f"the hub refuses the card; does it know the licence {licence}? {error}") from error


def repository(name: str) -> str:
    """USER/NAME of that or of hf:USER/NAME."""
    found = name.removeprefix(PREFIX)
    if not NAME.fullmatch(found):
        raise ConfigError(f"{name} is no model's name on the hub: write USER/NAME, like someone/digits")
    return found


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise ConfigError('the Hugging Face hub needs its extra: pip install "sparring[hub]"') from None
    return huggingface_hub


@contextlib.contextmanager
def _asking(name: str) -> Iterator[None]:
    """Whatever the library raises becomes a `CheckpointError` of one line. Its releases raise errors of three HTTP
    libraries, and those of the storage behind the hub, so all are caught but those of this machine's files."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CheckpointError(_explain(name, error)) from error


def _explain(name: str, error: Exception) -> str:
    from huggingface_hub import constants, errors

    reason, status = " ".join(str(error).split()), _status(error)
    if status in (401, 403) or isinstance(error, errors.LocalTokenNotFoundError):
        return (
            f"the hub refuses {name} ({status or 'no token'}): if the name is right, run `hf auth login` or set "
            "HF_TOKEN, to push with a token that may write"
        )
    if status == 404:
        return (
            f"there is no model {name} on the hub that you may see: check the name; `hf auth login` for a private one"
        )
    if isinstance(error, ValueError) and not isinstance(error, OSError):  # older releases' of the network are both
        return f"{name}: {reason}"
    if status is not None:
        return f"the hub does not do it for {name} ({status}): {reason}"
    return f"{constants.ENDPOINT} gave no answer about {name}; is there a network? ({type(error).__name__}: {reason})"


def _status(error: BaseException | None) -> int | None:
    """Of the answer that an error, or one that led to it, is about."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return int(response.status_code)
        error = error.__cause__ or error.__context__
    return None
