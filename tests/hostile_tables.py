"""Hostile tables, in every format that is read."""

from __future__ import annotations

import functools
import gzip
import io
import random
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
from hostile_mutations import NUMBERS, TEXTS, TOKENS, changed_bytes
from shell import birds

from linnet.table import Columns, read_table

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".npy", ".npz")
# These are read by pyarrow alone.
ARROW_SUFFIXES = (".parquet", ".feather", ".arrow")


@functools.cache
def seeds(suffix: str) -> list[bytes]:
    """Good files of one format."""
    table = birds(12)
    numbers = np.random.default_rng(0).normal(size=(6, 3))
    if suffix == ".csv":
        comma = table.to_csv(index=True).encode()
        semicolon = "name;value\n" + "".join(f'"a;b {i}";{i},5\n' for i in range(6))
        return [comma, semicolon.encode(), "x|y\r\n1|été\r\n2|b\r\n3|b\r\n".encode("utf-8-sig")]
    if suffix in (".tsv", ".txt"):
        return [table.to_csv(index=False, sep="\t").encode()]
    if suffix == ".csv.gz":
        return [gzip.compress(seeds(".csv")[0], mtime=0)]
    if suffix == ".npy":
        fields = np.zeros(5, dtype=[("a", "<f8"), ("b", "<U3"), ("when", "<M8[s]")])
        fields["a"] = np.arange(5)
        arrays = numbers, numbers.astype(">f4")[:, 0], np.asfortranarray(numbers), fields
        return [_npy(array) for array in (*arrays, np.array([b"a", b"bc", b"a"]), numbers > 0)]
    if suffix == ".npz":
        stored, packed = io.BytesIO(), io.BytesIO()
        np.savez(stored, X=numbers, y=numbers[:, 0])
        np.savez_compressed(packed, X=numbers, name=np.array(list("abcdef")))
        return [stored.getvalue(), packed.getvalue()]
    arrow = pa.table({"a": [1.5, None, 2.0], "b": ["x", "y", None], "c": [True, False, True]})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t")
        if suffix == ".parquet":
            pyarrow.parquet.write_table(arrow, path)
        elif suffix == ".feather":
            pyarrow.feather.write_feather(arrow, path)
        else:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, arrow.schema) as out:
                out.write_table(arrow)
        return [path.read_bytes()]


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def changed(rng: random.Random, files: list[bytes], suffix: str) -> bytes:
    """A hostile table made of a good one."""
    content, other = rng.choice(files), rng.choice(files)
    if rng.random() < 0.3:
        return changed_bytes(rng, content, other)
    if suffix in (".csv", ".tsv", ".txt"):
        return _changed_text(rng, content)
    if suffix == ".csv.gz":
        return gzip.compress(_changed_text(rng, gzip.decompress(content)), mtime=0)
    if suffix == ".npy":
        return _changed_npy(rng, content)
    if suffix == ".npz":
        return _changed_npz(rng, content)
    return changed_bytes(rng, content, other)


def _changed_text(rng: random.Random, content: bytes) -> bytes:
    """Lines and fields dropped, doubled, moved and replaced; another encoding now and then."""
    end = rng.choice([b"\n", b"\n", b"\n", b"\r\n", b"\r"])
    mark = max([b",", b";", b"\t", b"|"], key=content.count)
    rows = [line.split(mark) for line in content.split(b"\n")]
    for _ in range(rng.choice([1, 1, 2, 5])):
        row = rng.choice(rows)
        place = rng.randrange(len(row) + 1)
        kind = rng.randrange(8)
        if kind == 0:
            row[place:place] = row[:place]
        elif kind == 1:
            del row[place:]
        elif kind == 2:
            row[place : place + 1] = [rng.choice(TOKENS)]
        elif kind == 3:
            row[place : place + 1] = [str(rng.choice(NUMBERS)).encode()]
        elif kind == 4:
            row[place : place + 1] = [rng.choice(TEXTS).encode("utf-8", "surrogatepass")]
        elif kind == 5:
            rows.insert(rng.randrange(len(rows) + 1), list(rng.choice(rows)))
        elif kind == 6:
            mark = rng.choice([b",", b";", b"\t", b"|", b" ", b""])
        else:
            rng.shuffle(rows)
    text = end.join(mark.join(row) for row in rows)
    if rng.random() < 0.1:
        text = text.decode("latin-1").encode(rng.choice(["utf-16", "utf-32", "utf-8-sig"]))
    return text


def _changed_npy(rng: random.Random, content: bytes) -> bytes:
    """An NPY file whose header tells of other types, shapes and lengths."""
    start = content.index(b"{")
    header, body = content[start : content.index(b"\n", start)].decode(), content[128:]
    shapes = (
        "()",
        "(0, 999999999999)",
        "(0,)",
        "(1,)",
        "(2**60,)",
        "(999999999999,)",
        "(3, 0)",
        "(-1,)",
        "(1,)*40",
        "5",
    )
    types = "'|O'", "'<f8'", "'<U99999999'", "'|S0'", "'<M8'", "'<M8[Y]'", "'<m8[s]'", "'<c16'"
    types += "'|V9'", "'<f16'", "'|b1'", "'<i8'", "[('a', '<f8', (2, 2))]", "[('a', '|O')]", "5"
    types += "[('a', [('b', '<f4')]), ('c', '<i2')]", "[('', '<f4'), ('', '<f4')]", "'<e2'", "'>f8'"
    kind = rng.randrange(6)
    if kind <= 1:
        shape = header[header.index("(", header.index("'shape'")) :].split(")")[0] + ")"
        header = header.replace(shape, rng.choice(shapes))
    elif kind == 2:
        told = header[header.index(":") + 1 : header.index(", 'fortran")].strip()
        header = header.replace(told, rng.choice(types))
    elif kind == 3:
        header = rng.choice(["{}", "[" * 3000, "{'a': 1}", "__import__('os')", "'", "{" * 200, ""])
    elif kind == 4:
        header = header.replace("False", rng.choice(["True", "5", "None", "False, 'x': 1"]))
    else:
        body = body[: rng.randrange(len(body) + 1)] * rng.choice([1, 3])
    text = header.encode("latin-1") + b"\n"
    length = rng.choice([len(text)] * 5 + [0, 1, 65535])
    version = rng.choice([b"\x01\x00"] * 5 + [b"\x02\x00", b"\x03\x00", b"\x09\x00"])
    size = struct.pack("<H" if version[0] == 1 else "<I", length)
    return b"\x93NUMPY" + version + size + text + body


def _changed_npz(rng: random.Random, content: bytes) -> bytes:
    """An archive of hostile arrays, or with names, sizes or methods that are wrong."""
    file = io.BytesIO()
    method = rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
    with zipfile.ZipFile(io.BytesIO(content)) as good, zipfile.ZipFile(file, "w", method) as bad:
        for name in good.namelist():
            array = good.read(name)
            if rng.random() < 0.5:
                array = _changed_npy(rng, array) if rng.random() < 0.7 else rng.choice(TOKENS)
            name = rng.choice([name] * 4 + ["a.npy", "b", "../x.npy", "\x1b[31m.npy", ".npy", "a/"])
            if name not in bad.namelist():
                bad.writestr(name, array)
    packed = bytearray(file.getvalue())
    if rng.random() < 0.4:  # the directory's sizes and places
        place = packed.rfind(b"PK\x01\x02") + rng.choice([8, 10, 16, 20, 24, 28, 30, 42])
        packed[place : place + 4] = rng.choice([b"\xff" * 4, b"\x00" * 4, b"\xff\xff\xff\x7f"])
    return bytes(packed)


def read(path: Path) -> None:
    """Read a table, learn its columns, and encode them."""
    table = read_table(path)
    Columns.fit(table).encode(table)
