"""Small changes that turn a good file into a hostile one, each decided by a random generator."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

# Bytes and texts that readers have stumbled over.
TOKENS = (
    b"\x00", b"\xff" * 8, b"\x7f" * 8, b"[" * 50, b"{" * 50, b'"', b"'", b"\n", b"\r", b",", b";",
    b"\t", b"NaN", b"-Infinity", b"1e999", b"-0", b"null", b"\xef\xbb\xbf", b"\xff\xfe",
    b"\x1b[31m", b"9" * 40, b"-1", b"\xf0\x9f\x90\xa6", b"\xc3", b"2024-02-30",
    b"1/2", b"\x1a", b"0x10",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 127, 255, 2**31 - 1, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1,
    10**30, -(10**18), 0.5, -0.0, 1e-320, 1e30, 1e300, -1e308,
)  # fmt: skip
TEXTS = (
    "", "x", "inf", "nan", "-1", "1e400", "os.system", "\x1b[31m", "\u202egnp", "a\nb", "\x00",
    "'; DROP", "<script>", "../../x", "regression", "classes", "number", "category", "torch",
    "MLPRegressor", "EnsembleClassifier", "float64", "<U99999999", "O", "V8", "\ud800", "9" * 5000,
)  # fmt: skip


def nested(depth: int, *, as_list: bool) -> Any:
    """Lists or dicts inside each other."""
    value: Any = 0
    for _ in range(depth):
        value = [value] if as_list else {"pairs": value}
    return value


def hostile_value(rng: random.Random) -> Any:
    """A value that has no business where it stands."""
    kind = rng.randrange(9)
    if kind <= 2:
        return rng.choice(NUMBERS)
    if kind == 3:
        return rng.choice(TEXTS)
    if kind == 4:
        return rng.choice([None, True, False, [], {}, [[]], [None], {"": 0}])
    if kind == 5:
        return nested(rng.choice([3, 90, 400]), as_list=rng.random() < 0.5)
    if kind == 6:
        return [rng.choice(NUMBERS) for _ in range(rng.choice([1, 3, 500]))]
    if kind == 7:
        plain = {"not_kept": 1}, {"loss": "os"}, {"tensor": [[1], [1, 2]]}, {"number": "1e9"}
        return rng.choice(
            [*plain, {"pairs": [[[], 1]]}, {"tuple": 3}, {"tensor": "module.0.weight"}]
        )
    return {rng.choice(TEXTS): rng.choice(NUMBERS)}


def changed_bytes(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """Bits, bytes, pieces: flipped, cut, doubled, moved, or taken from another file."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 5, 20])):
        place = rng.randrange(len(data) + 1)
        length = min(rng.choice([1, 2, 4, 8, 64, 1000]), len(data) - place)
        kind = rng.randrange(9)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1 and place < len(data):
            data[place] = rng.randrange(256)
        elif kind == 2:
            del data[place:]
        elif kind == 3:
            del data[place : place + length]
        elif kind == 4:
            data[place:place] = data[place : place + length] * rng.choice([1, 1, 3])
        elif kind == 5:
            token = rng.choice(TOKENS)
            data[place : place + rng.choice([0, len(token)])] = token
        elif kind == 6:
            start = rng.randrange(len(other) + 1)
            data[place:] = other[start:]  # a splice
        elif kind == 7:
            start = rng.randrange(len(other) + 1)
            data[place : place + length] = other[start : start + length]
        else:
            size = rng.choice([1, 2, 4, 8])
            number = int(rng.choice(NUMBERS)) % 2 ** (8 * size)
            data[place : place + size] = number.to_bytes(size, rng.choice(["little", "big"]))
    return bytes(data)


def places(data: Any, before: tuple = ()) -> list[tuple]:
    """Every place in nested plain data; of long lists the first ones."""
    items = data.items() if isinstance(data, dict) else enumerate(data[:4])
    found = []
    for key, value in items:
        found.append((*before, key))
        if isinstance(value, dict | list):
            found += places(value, (*before, key))
    return found


def changed_json(rng: random.Random, data: Any, other: Any) -> Any:
    """Plain data in which entries are replaced, dropped, doubled, or taken from other data."""
    data = json.loads(json.dumps(data))
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        known = places(data)
        if not known:
            return hostile_value(rng)
        place = rng.choice(known)
        inner = within(data, place[:-1])
        kind = rng.randrange(8)
        value = inner[place[-1]]
        if kind <= 2:
            inner[place[-1]] = hostile_value(rng)
        elif kind == 3:
            del inner[place[-1]]
        elif kind == 4 and isinstance(inner, list):
            inner[:] = inner * rng.choice([2, 3])
        elif kind == 4:
            inner[rng.choice(TEXTS)] = copy.deepcopy(value)
        elif kind == 5 and isinstance(value, int | float):
            changed = [value + 1, value - 1, -value, value * 1000, float(value), str(value)]
            inner[place[-1]] = rng.choice(changed)
        elif kind == 6:
            inner[place[-1]] = copy.deepcopy(within(data, rng.choice(known)))
        else:
            inner[place[-1]] = copy.deepcopy(within(other, rng.choice(places(other))))
    return data


def within(data: Any, place: tuple) -> Any:
    """What stands at a place."""
    for key in place:
        data = data[key]
    return data


def json_text(rng: random.Random, data: Any) -> str:
    """Plain data as JSON, at times with a key that stands twice, NaN, or too deep to be read."""
    text = json.dumps(data)
    kind = rng.randrange(12)
    if kind == 0 and text.startswith("{"):
        key = json.dumps(rng.choice([*data]) if data else "")
        return f"{{{key}: {json.dumps(hostile_value(rng))}, {text[1:]}"
    if kind == 1:
        return text.replace(
            ": 0", rng.choice([": NaN", ": 1e999", ": -Infinity", ": " + "9" * 5000])
        )
    if kind == 2:
        start = rng.randrange(len(text))
        return text[:start] + rng.choice(["[", '{"a":']) * 100_000 + text[start:]
    return text
