"""Which engine trains a module, on which device, and the reason why."""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import nn

from linnet.data import Rows, Stream
from linnet.engine.native_engine import NativeEngine
from linnet.engine.reasons import why_not
from linnet.engine.second_order import (
    LeastSquaresEngine,
    NativeLbfgsEngine,
    choose_least_squares,
    lbfgs_faults,
)
from linnet.engine.torch_engine import TorchEngine
from linnet.history import History
from linnet.losses import Loss
from linnet.solvers import LBFGS, LevenbergMarquardt
from linnet.spelling import check_choice

ENGINES = ("auto", "native", "torch")
Engine = type[TorchEngine] | type[NativeEngine]
DEVICES = ("auto", "cpu", "cuda", "mps")

# Multiply-adds (parameters times rows of a batch) of a step from which "auto" takes an
# accelerator: below it a step is shorter than the time that starting its kernels takes there.
_ACCELERATOR_FROM = 10**7

# Multiply-adds of a step up to which one thread is as fast as two; from there on torch's own count
# is taken. On busy processors a second thread for less costs a multiple of the step.
_ONE_THREAD_UP_TO = 5 * 10**6


def choose(
    engine: str,
    module: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    rows: Rows | Stream,
    device: torch.device,
) -> tuple[Engine, str]:
    """Return the engine's class and one sentence that says why it was chosen.

    Parameters
    ----------
    engine : {"auto", "native", "torch"}
        What the user asked for.
    module, loss, optimizer, rows, device
        What is to be trained, and where.

    Raises
    ------
    ValueError
        If the name is unknown, or the native engine cannot do it.
    """
    check_choice("engine", engine, ENGINES)
    if isinstance(optimizer, LevenbergMarquardt):
        return choose_least_squares(engine, module, loss, optimizer, rows, device)
    if engine == "torch":
        return TorchEngine, "engine='torch' was asked for."
    is_lbfgs = type(optimizer) is LBFGS
    faults = (lbfgs_faults if is_lbfgs else why_not)(module, loss, optimizer, rows, device)
    native = NativeLbfgsEngine if is_lbfgs else NativeEngine
    if engine == "native":
        if faults:
            raise ValueError(
                f"engine='native' cannot train this: {'; '.join(faults)}. Write engine='auto' or "
                "engine='torch'."
            )
        return native, "engine='native' was asked for."
    if faults:
        return TorchEngine, f"PyTorch, for {'; '.join(faults)}."
    return native, "Every layer, the loss and the optimizer are known to the native engine."


def renewed(
    worker: TorchEngine | NativeEngine, engine: str, history: History
) -> TorchEngine | NativeEngine:
    """Return the engine for the next epoch after a function of the user's was called.

    The native engine is made of the layers, weights and groups that it was given. Where those were
    changed, it is made anew; or PyTorch goes on where it can no longer do the same.

    Parameters
    ----------
    worker : TorchEngine or NativeEngine
        Of the last epoch.
    engine : {"auto", "native", "torch"}
        What the user asked for.
    history : History
        Gets the engine's name and the reason.

    Raises
    ------
    ValueError
        If engine="native" was asked for, and it cannot go on.
    """
    if not (isinstance(worker, NativeEngine) and worker.is_outdated()):
        return worker
    given = {f.name: getattr(worker, f.name) for f in fields(worker)}
    module, loss, optimizer = worker.module, worker.loss, worker.optimizer
    kind, history.engine_reason = choose(
        engine, module, loss, optimizer, worker.rows, worker.device
    )
    history.engine = kind.name
    return kind(**given)


def choose_device(device: str | torch.device, module: nn.Module, batch_size: int) -> torch.device:
    """Return the device to train on.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "mps"} or torch.device
        "auto" keeps a module that lies on an accelerator there, and takes an accelerator for a
        module on the CPU only where the work of a step is worth it.
    module : torch.nn.Module
    batch_size : int
        Rows of a step.

    Raises
    ------
    ValueError
        If the device is unknown or absent.
    """
    device = str(device) if isinstance(device, torch.device) else device
    if not isinstance(device, str) or not device.startswith("cuda:"):
        check_choice("device", device, DEVICES)
    if device == "auto":
        parameters = list(module.parameters())
        if parameters and parameters[0].device.type != "cpu":
            return parameters[0].device
        if sum(p.numel() for p in parameters) * batch_size < _ACCELERATOR_FROM:
            return torch.device("cpu")
        return torch.device("cuda" if torch.cuda.is_available() else _mps_or_cpu())
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(
            f"device={device!r} is not available: torch {torch.__version__} sees no CUDA device. "
            "Write device='cpu', or install a torch that was built for CUDA."
        )
    if device == "mps" and _mps_or_cpu() != "mps":
        raise ValueError(
            f"device='mps' is not available: torch {torch.__version__} sees no Apple GPU. "
            "Write device='cpu'."
        )
    return torch.device(device)


def _mps_or_cpu() -> str:
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_threads(
    n_threads: int | None,
    module: nn.Module,
    batch_size: int,
    engine: Engine,
) -> int | None:
    """Return the number of CPU threads to train with; None for the number torch is set to.

    Parameters
    ----------
    n_threads : int or None
        What the user asked for.
    module : torch.nn.Module
    batch_size : int
        Rows of a step.
    engine : type
        The native engine chooses for each epoch among so many or fewer by itself.
    """
    if n_threads is not None or engine is NativeEngine:
        return n_threads
    if issubclass(engine, LeastSquaresEngine | NativeLbfgsEngine):
        return _second_order_threads(module, batch_size, engine)
    work = sum(p.numel() for p in module.parameters()) * batch_size
    return 1 if work <= _ONE_THREAD_UP_TO else None


def _second_order_threads(module: nn.Module, n_rows: int, engine: Engine) -> int | None:
    n_parameters = sum(p.numel() for p in module.parameters())
    work = n_rows * n_parameters
    if issubclass(engine, LeastSquaresEngine):
        work *= n_parameters  # J'J
    # Natively threads meet a few times a step only.
    return 1 if work <= _ONE_THREAD_UP_TO // (10 if engine.name == "native" else 1) else None
