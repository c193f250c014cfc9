"""The bytes of a model file: tensors in the safetensors format, and a description in its header.

The header's metadata has one entry, ``linnet``: JSON text. It begins with the version of the format
and the SHA-256 of the whole file, worked out with zeros in its own place.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NoReturn

import safetensors.torch
import torch

FORMAT_VERSION = 1
_NO_DIGEST = "0" * 64
# The greatest header that the safetensors format allows.
_MOST_HEADER_BYTES = 100_000_000


def pack(description: dict[str, Any], tensors: dict[str, torch.Tensor]) -> bytes:
    """Return the bytes of a model file.

    Raises
    ------
    TypeError, ValueError
        If the description is no plain data, or holds NaN or infinity.
    """
    described = {"format_version": FORMAT_VERSION, "sha256": _NO_DIGEST, **description}
    text = json.dumps(described, allow_nan=False)
    content = safetensors.torch.save(tensors, metadata={"linnet": text})
    # The metadata come first in the header, so that the first such zeros are those of `described`.
    digest = hashlib.sha256(content).hexdigest()
    return content.replace(_NO_DIGEST.encode(), digest.encode(), 1)


def unpack(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return the description and the tensors of a model file; nothing in it is run.

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
            raise _foreign(path)
        header = file.read(n_header)
        text = _linnet_entry(path, header)
        content = start + header + file.read()
    description = _description(path, text)
    if _digest(content, description.get("sha256")) != description.get("sha256"):
        raise damaged(path, "its bytes are not those that were written")
    try:
        return description, dict(sorted(safetensors.torch.load(content).items()))
    except (safetensors.SafetensorError, KeyError, ValueError, RuntimeError) as fault:
        raise damaged(path, f"{type(fault).__name__}: {fault}") from fault


def damaged(path: Path, why: str) -> ValueError:
    """Return the error that tells why a file cannot be used."""
    return ValueError(
        f"{path} is a damaged linnet model ({why}). Copy it anew, or fit the model again."
    )


def _foreign(path: Path) -> ValueError:
    return ValueError(
        f"{path} is no linnet model, or is cut off. Give a file made by linnet fit or linnet.save, "
        "or copy it anew."
    )


def _linnet_entry(path: Path, header: bytes) -> str:
    try:
        metadata = json.loads(header).get("__metadata__", {})
        text = metadata.get("linnet")
    except (ValueError, AttributeError, RecursionError) as fault:
        raise _foreign(path) from fault
    if not isinstance(text, str):
        raise ValueError(
            f"{path} holds tensors in the safetensors format, but linnet did not write it. Give a "
            "file made by linnet fit or linnet.save."
        )
    return text


def _description(path: Path, text: str) -> dict[str, Any]:
    try:
        description = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as fault:
        raise damaged(path, str(fault)) from fault
    if not isinstance(description, dict):
        raise damaged(path, "its description is no object")
    version = description.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise damaged(path, "it has no format version")
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
    unsigned = content.replace(told.encode(), _NO_DIGEST.encode(), 1)
    return hashlib.sha256(unsigned).hexdigest()
