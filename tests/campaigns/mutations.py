"""Damage: bytes, texts and JSON values changed at random, in ways that break readers."""

import json
import re
import struct
import zlib
from collections.abc import Sequence
from random import Random
from typing import Any

HUGE = (
    "0",
    "-1",
    "1",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1" + "0" * 40,
    "9" * 400,
    "1e308",
    "-1e309",
    "1e-320",
    "NaN",
    "Infinity",
    "-inf",
    "0x10",
    "1_000",
    "٣",
    "",
)
WORDS = (
    "",
    " ",
    "\x00",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202eevil",
    "\ud800",
    "é",
    "漢字",
    "😀",
    "../../evil",
    "/etc/passwd",
    "=HYPERLINK(1)",
    '"',
    "'",
    ",",
    "\n",
    "\r\n",
    "\ufeff",
    "a" * 5000,
    "none",
    "null",
    "true",
    "[1]",
    "{}",
    "%s",
    "${HOME}",
    "nan",
    "C:\\x",
    "con",
    "-",
    "--out",
    "hf:x",
    "x.png",
)
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)


def number(rng: Random) -> str:
    return rng.choice(HUGE) if rng.random() < 0.7 else str(rng.randint(-5, 300))


def word(rng: Random) -> str:
    return rng.choice((rng.choice(WORDS), number(rng), "".join(chr(rng.randrange(1, 0x300)) for _ in range(8))))


def value(rng: Random, depth: int = 3) -> Any:
    """A JSON value that is seldom the one expected."""
    kind = rng.randrange(10 if depth else 7)
    if kind < 2:
        return rng.choice((0, -1, 1, 3, 2**31, 2**63, 10**30, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")))
    if kind < 4:
        return word(rng)
    if kind < 7:
        return rng.choice((None, True, False, [], {}))
    if kind == 7:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 8:
        return {word(rng): value(rng, depth - 1) for _ in range(rng.randrange(4))}
    nested: Any = 0
    for _ in range(rng.choice((20, 500))):
        nested = [nested]
    return nested


def changed_json(found: Any, rng: Random) -> Any:
    """A copy with one to three nodes replaced, lost, doubled or renamed."""
    copy = json.loads(json.dumps(found))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        copy = _changed_once(copy, rng)
    return copy


def _changed_once(node: Any, rng: Random) -> Any:
    if not isinstance(node, dict | list) or not node or rng.random() < 0.08:
        return value(rng)
    places: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
    place = rng.choice(places)
    if isinstance(node[place], dict | list) and node[place] and rng.random() < 0.85:
        node[place] = _changed_once(node[place], rng)
        return node
    match rng.randrange(6):
        case 0:
            del node[place]
        case 1 if isinstance(node, dict):
            node[word(rng)] = node.pop(place)
        case 1:
            node.append(node[place])
        case 2 if isinstance(node, dict):
            node[word(rng)] = value(rng)
        case _:
            node[place] = value(rng)
    return node


def nested_json(rng: Random) -> str:
    """JSON too deep for Python's reader, now and then closed."""
    depth, opening = rng.choice((900, 5_000, 90_000)), rng.choice(("[", '{"a":'))
    return opening * depth + rng.choice(("", "1" + ("]" if opening == "[" else "}") * depth))


def changed_text(text: str, rng: Random) -> str:
    """A text with numbers, words or lines exchanged."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        match rng.randrange(5):
            case 0:
                found = list(re.finditer(r"-?\d+(\.\d+)?", text))
                if found:
                    one = rng.choice(found)
                    text = text[: one.start()] + number(rng) + text[one.end() :]
            case 1:
                place = rng.randrange(len(text) + 1)
                text = text[:place] + word(rng) + text[place:]
            case 2:
                lines = text.splitlines(keepends=True) or [""]
                place = rng.randrange(len(lines))
                lines[place : place + 1] = [lines[place]] * rng.choice((0, 2, 50))
                text = "".join(lines)
            case 3:
                old = rng.choice((",", "\n", '"', ".", " ", ":", "\t"))
                text = text.replace(old, rng.choice((";", "", old * 2, "\r", "\t", "|")), rng.choice((1, -1)))
            case _:
                text = text[: rng.randrange(len(text) + 1)]
    return text


def changed_bytes(data: bytes, rng: Random, others: Sequence[bytes] = ()) -> bytes:
    """Bytes with one to eight of: flips, cuts, insertions, numbers at the edges of their types, parts of others."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        size = len(found)
        place = rng.randrange(min(size, rng.choice((32, 128, size or 1))) or 1)  # headers more often
        match rng.randrange(8):
            case 0 if size:
                found[min(place, size - 1)] ^= 1 << rng.randrange(8)
            case 1 if size:
                found[min(place, size - 1)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 2:
                del found[rng.randrange(size + 1) :]
            case 3:
                form = rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
                width = struct.calcsize(form)
                found[place : place + width] = struct.pack(form, rng.choice(EDGES) % 256**width)
            case 4:
                found[place:place] = rng.choice((rng.randbytes(rng.randrange(1, 40)), b"\0" * 300, word_bytes(rng)))
            case 5:
                del found[place : place + rng.randrange(1, 64)]
            case 6:
                found[place:place] = found[place : place + rng.randrange(1, 200)]
            case 7 if others:
                other = rng.choice(others)
                start = rng.randrange(len(other) + 1)
                found[place:] = other[start : start + rng.randrange(1, 4096)]
    return bytes(found)


def word_bytes(rng: Random) -> bytes:
    return word(rng).encode("utf-8", "surrogatepass")


def changed_png(data: bytes, rng: Random) -> bytes:
    """A PNG with one chunk changed, lost or doubled, and right checksums: it passes the first check of a reader."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    which = rng.randrange(len(chunks))
    name, content = chunks[which]
    match rng.randrange(4):
        case 0:
            del chunks[which]
        case 1:
            chunks.insert(rng.randrange(len(chunks) + 1), (name, content))
        case 2:
            chunks.insert(
                which, (rng.choice((b"tEXt", b"iCCP", b"acTL", b"fcTL", b"zTXt", b"tRNS", b"PLTE")), rng.randbytes(20))
            )
        case _:
            chunks[which] = (name, changed_bytes(content, rng))
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def changed_safetensors(data: bytes, rng: Random) -> bytes:
    """A safetensors file whose header or metadata say something else."""
    (length,) = struct.unpack("<Q", data[:8])
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    if rng.random() < 0.8:  # as files of older versions are, so that the digest does not hide the rest
        meta = json.loads(header["__metadata__"]["sparring"])
        meta.pop("digest", None)
        header["__metadata__"]["sparring"] = json.dumps(meta)
    match rng.randrange(5):
        case 0:
            meta = header["__metadata__"]
            text = (
                nested_json(rng) if rng.random() < 0.1 else json.dumps(changed_json(json.loads(meta["sparring"]), rng))
            )
            header["__metadata__"] = {"sparring": text}
        case 1:
            header = changed_json(header, rng)
        case 2:
            names = [name for name in header if name != "__metadata__"]
            one, other = rng.choice(names), rng.choice(names)
            header[rng.choice((word(rng), other))] = header.pop(one)
        case 3:
            names = [name for name in header if name != "__metadata__"]
            entry = header[rng.choice(names)]
            entry[rng.choice(("dtype", "shape", "data_offsets"))] = rng.choice(
                ("F16", "I64", "U8", "BOOL", [1], [], [0], [0, 4], [2**63], [0, 2**62])
            )
        case _:
            where = rng.randrange(max(1, len(rest) - 4))  # a number that is none, or far too large
            bad = rng.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f")) * rng.choice((1, 20))
            rest = rest[: where - where % 4] + bad + rest[where - where % 4 + len(bad) :]
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest
