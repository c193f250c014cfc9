"""``linnet info``: versions, engines and devices."""

from __future__ import annotations

from linnet.cli.options import Json
from linnet.cli.talk import print_json, print_table


def info(as_json: Json = False) -> None:
    """Say which versions, engines and devices are there.

    Example: linnet info
    """
    import platform
    from importlib.metadata import version

    import torch

    import linnet
    from linnet.native import (
        how_to_get_native,
        instruction_sets,
        kernels_in_use,
        native_available,
    )

    packages = (
        "torch",
        "numpy",
        "scikit-learn",
        "narwhals",
        "pyarrow",
        "matplotlib",
        "safetensors",
    )
    document = {
        "command": "info",
        "linnet": linnet.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in packages},
        "native_module": native_available(),
        "instruction_sets": instruction_sets(),
        "kernels": kernels_in_use(),
        "engines": {"torch": "trains every module", "native": _native(native_available())},
        "devices": ["cpu", *_accelerators()],
        "torch_threads": torch.get_num_threads(),
    }
    if not native_available():
        document["how_to_get_native"] = how_to_get_native()
    if as_json:
        print_json(document)
        return
    rows = [
        ["linnet", document["linnet"]],
        ["Python", f"{document['python']}, {document['platform']}"],
        *([name, number] for name, number in document["versions"].items()),
        ["engine torch", document["engines"]["torch"]],
        ["engine native", document["engines"]["native"]],
        ["instruction sets", ", ".join(document["instruction_sets"]) or "not known"],
        ["native kernels", document["kernels"] or "none"],
        ["devices", ", ".join(document["devices"])],
        ["torch threads", str(document["torch_threads"])],
    ]
    print_table(["", ""], rows)
    if "how_to_get_native" in document:
        print(document["how_to_get_native"])


def _native(is_there: bool) -> str:
    if is_there:
        return "trains feed-forward networks on the CPU; linnet fit says when it does"
    return "missing"


def _accelerators() -> list[str]:
    import torch

    found = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return found + (["mps"] if torch.backends.mps.is_available() else [])
