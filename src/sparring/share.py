"""One HTML file that contains the model: it samples in any modern browser, from `file://`, without network requests.

Its runtime is onnxruntime-web (MIT), downloaded once from the npm registry and checked against a known digest.
"""

import base64
import contextlib
import gzip
import hashlib
import http.client
import io
import json
import math
import os
import tarfile
import urllib.request
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from sparring.config import ConfigError
from sparring.directions import directions
from sparring.export import Precision, Sampler, checked, metadata, onnx_bytes, onnx_runner
from sparring.files import file_name, write_atomic
from sparring.metrics.cache import cache_folder
from sparring.pretrained import GAN

RUNTIME = "onnxruntime-web-1.30.0"
DIGEST = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
MEMBERS = ("package/dist/ort.webgpu.bundle.min.mjs", "package/dist/ort-wasm-simd-threaded.asyncify.wasm")
"""The runtime's script and its WebAssembly, for CPU and WebGPU."""
REGISTRY = "https://registry.npmjs.org"

LARGEST = 64 * 2**20
"""Maximum bytes of the model in a page."""
BATCH_NUMBERS = 2**16
"""Maximum number of values in one batch of samples; the browser handles clicks between two batches."""
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:; style-src 'unsafe-inline'; "
    "img-src blob: data:; connect-src blob:"
)


@dataclass(frozen=True)
class Shared:
    path: Path
    size: int
    model_size: int


def share(
    gan: GAN, path: Path, *, title: str, precision: Precision = "float16", licence: str | None = None,
    runtime: Path | None = None,
) -> Shared:  # fmt: skip
    """Writes the page. `runtime` is the npm package as a file, for machines without access to the registry.

    Raises `ConfigError` if the model is too large for a page or the runtime cannot be downloaded.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out {path} must end in .html")
    sampler = Sampler(gan)
    model = onnx_bytes(sampler, precision, metadata(gan, licence))
    checked(sampler, onnx_runner(model), precision)
    if len(model) > LARGEST:
        raise ConfigError(
            f"the model takes {len(model) / 2**20:.3g} MiB, more than the {LARGEST / 2**20:.3g} that a page may hold: "
            "write it to a separate file with `sparring export`, or train a smaller one"
            + ("" if precision == "float16" else "; --precision float16 halves it")
        )
    script, wasm = fetch_runtime(runtime)
    axes = directions(gan.generator)
    page = gan.modality.page
    facts = page.facts(gan.spec) | {
        "vocabulary": page.vocabulary(gan.spec),
        "directions": len(axes),
        "title": title,
        "file_name": file_name(title),
        "seed": 0,
        "numbers": [],
        "starts": 0,
        "z_size": gan.generator.z_size,
        "batch": max(1, min(64, BATCH_NUMBERS // math.prod(gan.spec.sample_shape))),
        "about": " · ".join([*filter(None, [licence]), f"{len(model) / 2**20:.1f} MiB"]),
    }
    content = _page(facts, {
        "runtime": script, "wasm": wasm, "model": model,
        "axes": axes.numpy().astype("<f4").tobytes(),
    })  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda temporary: temporary.write_text(content, encoding="utf-8"))
    return Shared(path, path.stat().st_size, len(model))


def fetch_runtime(package: Path | None = None) -> tuple[bytes, bytes]:
    """The runtime's script and WebAssembly, from `package`, the cache, or the registry."""
    kept = cache_folder() / f"{RUNTIME}.tgz"
    if package is None and kept.is_file() and _genuine(content := kept.read_bytes()):
        return _unpacked(content)
    content = _downloaded() if package is None else package.read_bytes()
    if not _genuine(content):
        raise ConfigError(f"{package or 'the file from the registry'} is not {RUNTIME}.tgz: its digest differs")
    with contextlib.suppress(OSError):  # the cache only saves time
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, lambda temporary: temporary.write_bytes(content))
    return _unpacked(content)


def _genuine(content: bytes) -> bool:
    return hashlib.sha512(content).hexdigest() == DIGEST


def _unpacked(content: bytes) -> tuple[bytes, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        script, wasm = (_member(archive, member) for member in MEMBERS)
    return script, wasm


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, "the digest guarantees this member"
    return file.read()


def _downloaded() -> bytes:
    registry = os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY  # npm's own variable, set for a mirror
    address = f"{registry.rstrip('/')}/onnxruntime-web/-/{RUNTIME}.tgz"
    if not address.startswith(("https://", "http://")):
        raise ConfigError(f"NPM_CONFIG_REGISTRY {registry} is no web address: it must start with https:// or http://")
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            content: bytes = answer.read()
            return content
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        raise ConfigError(
            f"{address} cannot be fetched ({error}): download it elsewhere and pass it with --runtime {RUNTIME}.tgz"
        ) from None


def _page(facts: dict[str, Any], assets: dict[str, bytes]) -> str:
    """The explorer's page with scripts, styles and model inlined; its policy forbids network requests."""
    web = resources.files("sparring") / "web"

    def read(name: str) -> str:
        return (web / name).read_text(encoding="utf-8")

    page = read("page.html").replace(
        "<title>", f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<title>'
    )
    page = page.replace('<link rel="stylesheet" href="style.css">', f"<style>\n{read('style.css')}</style>")
    inside = [_script("application/json", "packed-facts", json.dumps(facts).replace("<", "\\u003c"))]
    for name, content in assets.items():
        packed = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
        inside.append(_script("text/plain", f"packed-{name}", packed))
    page = page.replace("<script src", "\n".join([*inside, "<script src"]), 1)
    for name in ("strings.js", "draw.js", "conditions.js", "app.js"):
        page = page.replace(f'<script src="{name}"></script>', f"<script>\n{read(name)}</script>")
    own = "\n".join(f"<script>\n{read(name)}</script>" for name in ("noise.js", "local.js"))
    return page.replace('<script src="remote.js"></script>', own)


def _script(kind: str, name: str, content: str) -> str:
    return f'<script type="{kind}" id="{name}">{content}</script>'
