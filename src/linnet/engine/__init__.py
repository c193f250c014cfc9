"""Engines: who does the arithmetic of an epoch.

Every engine has the same verbs: `epoch` trains one, `evaluate` gives the loss on other rows.
"""

from __future__ import annotations

from linnet.engine.choice import choose, choose_device, choose_threads
from linnet.engine.torch_engine import TorchEngine

__all__ = ["TorchEngine", "choose", "choose_device", "choose_threads"]
