"""Files of some megabytes, each made to cost a reader many times its own size."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import numpy as np
import safetensors.torch
import torch
from hostile_models import models, signed, taken_apart

N = 4_000_000


def _described(change: Callable[[dict], None], tensors: dict | None = None) -> bytes:
    """A signed model file whose description and tensors were changed."""
    description, own = taken_apart(models()[0])
    change(description)
    metadata = {"linnet": json.dumps(description)}
    return signed(safetensors.torch.save({**own, **(tensors or {})}, metadata=metadata))


def _empty_header(entry: str, n: int) -> bytes:
    text = '{"__metadata__":{"linnet":"{}"},' + ",".join(entry % i for i in range(n)) + "}"
    return len(text).to_bytes(8, "little") + text.encode()


def _npy(shape: tuple[int, ...], dtype: str) -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(np.prod(shape)).astype(dtype).reshape(shape))
    return file.getvalue()


# Suffix, and content.
CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "lists in the card": (
        ".linnet",
        lambda: _described(lambda d: d["card"].update(x=[[]] * (N // 4))),
    ),
    "objects in the card": (
        ".linnet",
        lambda: _described(lambda d: d["card"].update(x=[{"": 0}] * (N // 9))),
    ),
    "texts in the card": (
        ".linnet",
        lambda: _described(lambda d: d["card"].update({str(i): "ab" for i in range(N // 16)})),
    ),
    "a bird among letters": (".linnet", lambda: _described(lambda d: d["card"].update(x="é" * N))),
    "row numbers": (".linnet", lambda: _described(lambda d: None, {"rows.x": torch.arange(N)})),
    "short weights": (
        ".linnet",
        lambda: _described(
            lambda d: d["parameters"].update(hidden_layer_sizes=[N]),
            {
                "module.0.weight": torch.zeros(N, 3, dtype=torch.uint8),
                "module.0.bias": torch.zeros(N, dtype=torch.uint8),
                "module.2.weight": torch.zeros(1, N, dtype=torch.uint8),
            },
        ),
    ),
    "empty scores": (
        ".linnet",
        lambda: _described(lambda d: None, {"error_bars.scores": torch.zeros(10**9, 0)}),
    ),
    "wide classes": (
        ".linnet",
        lambda: _described(
            lambda d: d["target"].update(
                kind="classes", classes=["a" * N, *"bcdefgh"], dtype="<U9999999", n_outputs=8,
                multilabel=False,
            )
        ),
    ),
    "tensors without values": (
        ".linnet",
        lambda: _empty_header('"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}', N // 60),
    ),
    "a history of lists": (".history.json", lambda: b'{"curves": ' + b"[[]," * (N // 4) + b"0"),
    "a history of objects": (
        ".history.json",
        lambda: b'{"curves": [' + b'{"":0},' * (N // 7) + b"0]}",
    ),
    "a history with one bird": (
        ".history.json",
        lambda: ('{"loss": "🐦' + "x" * 3 * N + '"}').encode(),
    ),
    "columns of one byte": (".npy", lambda: _npy((1, N), "i1")),
    "columns of two rows": (".npy", lambda: _npy((2, N // 16), "f8")),
    "a row of as many columns as are read": (".npy", lambda: _npy((1, 50_000), "i1")),
    "a line of as many names as are read": (
        ".csv",
        lambda: ",".join(map(str, range(20_000))).encode() + b"\n" + b"1," * 19_999 + b"1\n",
    ),
    "one line of commas": (".csv", lambda: b"," * N),
    "one line of names": (".csv", lambda: ",".join(map(str, range(N // 7))).encode() + b"\n1"),
    "one line of names and one of values": (
        ".csv",
        lambda: (",".join(map(str, range(N // 14))) + "\n" + "7," * (N // 14)).encode()[:-1],
    ),
    "a line with one bird": (".csv", lambda: ("a,b\n1,🐦" + "x" * N * 3).encode()),
    "a bad byte after a bird": (
        ".csv",
        lambda: ("a,b\n" + "1,🐦\n" + "1,x\n" * N).encode() + b"\xff",
    ),
    "sparse values": (".csv", lambda: b"a,b,c,d\n1,1,1,1\n" + b",,,\n" * (N // 2)),
    "quotes": (".csv", lambda: b'a,b\n"' + b'""' * N),
}  # fmt: skip
