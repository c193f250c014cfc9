"""The bytes of a model file: tensors in the safetensors format, and a description in its header.

The header's metadata has one entry, ``linnet``: JSON text. It begins with the version of the format
and the SHA-256 of the whole file, worked out with zeros in its own place.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import safetensors.torch
import torch

from linnet import json_record

FORMAT_VERSION = 1
_NO_DIGEST = "0" * 64
# The greatest header that the safetensors format allows.
_MOST_HEADER_BYTES = 100_000_000
# Of letters beyond ASCII, one makes a text four times as large as its bytes.
_MOST_HEADER_BYTES_OF_ANY_LETTERS = 8_000_000
# Each costs some 2 kB beside its own bytes, as a tensor and in a module.
MOST_TENSORS = 10_000
# How the safetensors library writes the header of a file of linnet's.
_START_OF_HEADER = b'{"__metadata__":{"linnet":'


@dataclass(frozen=True)
class Kind:
    """What a file of this format is called, and what its reader may do where it is of no use.

    Attributes
    ----------
    name : str
    give : str
        What to give instead.
    renew : str
        How to come by a new one.
    """

    name: str
    give: str
    renew: str


MODEL = Kind("linnet model", "Give a file made by linnet fit or linnet.save", "fit the model again")
CHECKPOINT = Kind(
    "checkpoint of a training", "Give the file that keeps yours", "give another name to begin anew"
)


def pack(description: dict[str, Any], tensors: dict[str, torch.Tensor]) -> bytes:
    """Return the bytes of a model file.

    Raises
    ------
    TypeError, ValueError
        If the description is no plain data or holds NaN or infinity, or the tensors are too many.
    """
    if len(tensors) > MOST_TENSORS:
        raise ValueError(
            f"There are {len(tensors):,} tensors to write; a file of linnet's holds at most "
            f"{MOST_TENSORS:,}. Keep the state_dict by torch.save."
        )
    described = {"format_version": FORMAT_VERSION, "sha256": _NO_DIGEST, **description}
    text = json.dumps(described, allow_nan=False)
    content = safetensors.torch.save(tensors, metadata={"linnet": text})
    # The metadata come first in the header, so that the first such zeros are those of `described`.
    digest = hashlib.sha256(content).hexdigest()
    return content.replace(_NO_DIGEST.encode(), digest.encode(), 1)


def unpack(path: Path, kind: Kind = MODEL) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return the description and the tensors of a model file; nothing in it is run.

    Parameters
    ----------
    path : Path
    kind : Kind, default=MODEL
        What it should be, for errors.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If it is no regular file, or cannot be read.
    ValueError
        If it is no linnet file, is damaged, or was written in a newer format.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Give a file, such as {path}/model.linnet.")
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}. Give one that linnet wrote.")
    if not path.is_file():
        raise OSError(f"{path} is a device or a pipe, not a file. Give a file that linnet wrote.")
    with open(path, "rb") as file:
        start = file.read(8)
        n_header = int.from_bytes(start, "little")
        if len(start) < 8 or n_header > min(_MOST_HEADER_BYTES, path.stat().st_size - 8):
            raise _foreign(path, kind)
        # One after the other, so that the memory of each can serve the next.
        description = _description(path, _linnet_entry(path, file.read(n_header), kind), kind)
        file.seek(0)
        content = file.read()
    if _digest(content, description.get("sha256")) != description.get("sha256"):
        raise damaged(path, "its bytes are not those that were written", kind)
    try:
        return description, dict(sorted(safetensors.torch.load(content).items()))
    except (safetensors.SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as fault:
        raise damaged(path, f"{type(fault).__name__}: {fault}", kind) from fault


def damaged(path: Path, why: str, kind: Kind = MODEL) -> ValueError:
    """Return the error that tells why a file cannot be used."""
    return ValueError(f"{path} is a damaged {kind.name} ({why}). Copy it anew, or {kind.renew}.")


def _foreign(path: Path, kind: Kind) -> ValueError:
    return ValueError(f"{path} is no {kind.name}, or is cut off. {kind.give}, or copy it anew.")


def _linnet_entry(path: Path, header: bytes, kind: Kind) -> str:
    """Return the description; the rest of the header, which may tell of anything, is not parsed."""
    is_ascii = header.isascii()
    if not header.startswith(b"{") or not (
        is_ascii or len(header) < _MOST_HEADER_BYTES_OF_ANY_LETTERS
    ):
        raise _foreign(path, kind)
    if not header.startswith(_START_OF_HEADER):
        raise ValueError(
            f"{path} holds tensors in the safetensors format, but linnet did not write it. "
            f"{kind.give}."
        )
    if header.count(b'"data_offsets"') > MOST_TENSORS:
        raise damaged(path, f"it has more than {MOST_TENSORS:,} tensors", kind)
    try:
        text, _ = json.JSONDecoder().raw_decode(header.decode(), len(_START_OF_HEADER))
    except (ValueError, RecursionError) as fault:
        raise _foreign(path, kind) from fault
    if not isinstance(text, str):
        raise damaged(path, "its description is no text", kind)
    return text


def _description(path: Path, text: str, kind: Kind) -> dict[str, Any]:
    try:
        description = json_record.parse(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as fault:
        raise damaged(path, str(fault), kind) from fault
    if not isinstance(description, dict):
        raise damaged(path, "its description is no object", kind)
    version = description.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise damaged(path, "it has no format version", kind)
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path} was written in format version {version}; this linnet reads up to "
            f"{FORMAT_VERSION}. Install a newer linnet: pip install --upgrade linnet."
        )
    return description


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}, which JSON does not know")


def _digest(content: bytes, told: Any) -> str:
    if not isinstance(told, str) or len(told) != 64 or not told.isascii():
        return ""  # never equal to what was told
    place = content.find(told.encode())
    if place < 0:
        return ""
    digest = hashlib.sha256(memoryview(content)[:place])
    digest.update(_NO_DIGEST.encode())
    digest.update(memoryview(content)[place + 64 :])
    return digest.hexdigest()
