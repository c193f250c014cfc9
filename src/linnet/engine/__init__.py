"""Engines: who does the arithmetic of an epoch.

Every engine has the same verbs: `epoch` trains one, `evaluate` gives the loss on other rows.
"""

from __future__ import annotations

from linnet.engine.choice import ENGINES, choose, choose_device, choose_threads, renewed
from linnet.engine.native_engine import NativeEngine
from linnet.engine.torch_engine import TorchEngine

__all__ = [
    "ENGINES",
    "NativeEngine",
    "TorchEngine",
    "choose",
    "choose_device",
    "choose_threads",
    "renewed",
]
