"""What has to be the same where a training goes on from a file, each by its name."""

from __future__ import annotations

import hashlib
import inspect
from collections import Counter
from typing import Any

import torch
from torch import nn

from linnet.data import Rows, Stream
from linnet.printable import printable
from linnet.training_state import TrainingState

# That are told at once.
_MOST_DIFFERENCES = 8


def fingerprint(
    module: nn.Module,
    state: TrainingState,
    rows: Rows | Stream,
    validation: Rows | Stream | None,
    **settings: Any,
) -> dict[str, str]:
    """Return what decides the result of a training, each by its name.

    Parameters
    ----------
    module, state, rows, validation
        What is trained, begun with what, on what.
    **settings
        Whatever else decides the result.
    """
    assert state.history is not None and state.optimizer is not None
    return {
        "the module": module_text(module),
        "the optimizer": optimizer_text(state.optimizer),
        "the scheduler": scheduler_text(state.scheduler),
        "the training rows": digest_rows(rows),
        "the validation rows": "none" if validation is None else digest_rows(validation),
        **{name: str(value) for name, value in settings.items()},
        **of_versions(state.history.versions),
    }


def differences(kept: dict[str, str], present: dict[str, str]) -> list[str]:
    r"""Return in words what differs, of two fingerprints.

    Parameters
    ----------
    kept : dict of str to str
        What the file says. Of it alone what `present` names is looked at.
    present : dict of str to str
        What is trained now. A text of several lines is what a thing is, and on each further line a
        place in it and what stands there.

    Examples
    --------
    >>> from linnet.fingerprint import differences
    >>> differences({"batch_size": "32"}, {"batch_size": "7"})
    ['batch_size was 32, is 7']
    >>> differences({"the module": "Net\nlayer 0: Tanh"}, {"the module": "Net\nlayer 0: ReLU"})
    ['layer 0 of the module was Tanh, is ReLU']
    """
    found = []
    for name, value in present.items():
        was, *was_lines = kept.get(name, "not recorded").split("\n")
        now, *lines = value.split("\n")
        pairs = [(name, was, now)]
        if was == now:
            was_at, at = _places(was_lines), _places(lines)
            pairs = [
                (f"{place} of {name}", was_at.get(place, "absent"), at.get(place, "absent"))
                for place in at | was_at
            ]
        found += [
            f"{printable(what[:100])} was {printable(was[:300])}, is {printable(now[:300])}"
            for what, was, now in pairs
            if was != now
        ]
    n_more = len(found) - _MOST_DIFFERENCES
    return found if n_more <= 1 else [*found[:_MOST_DIFFERENCES], f"{n_more} more"]


def _places(lines: list[str]) -> dict[str, str]:
    return {place: text for place, _, text in (line.partition(": ") for line in lines)}


def module_text(module: nn.Module) -> str:
    """Return a module's class, and of each layer its class, plain attributes and tensors."""
    lines = []
    for name, layer in module.named_modules():
        settings = _settings(vars(layer), but=("training",))
        text = f"{type(layer).__name__}({settings})"
        if not name:
            lines += [type(layer).__name__, f"the whole: {text}"] if settings else [text[:-2]]
        else:
            lines.append(f"layer {_line(name)}: {text}")
        tensors = {**layer._parameters, **layer._buffers}
        for own, tensor in tensors.items():
            if isinstance(tensor, torch.Tensor):
                is_frozen = own in layer._parameters and not tensor.requires_grad
                place = f"{name}.{own}" if name else own
                shape = f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
                lines.append(f"tensor {_line(place)}: {shape}{' frozen' * is_frozen}")
    return "\n".join(lines)


def optimizer_text(optimizer: torch.optim.Optimizer) -> str:
    """Return an optimizer's class, and on a line each the settings of each group."""
    lines = [type(optimizer).__name__]
    for i, group in enumerate(optimizer.param_groups):
        own = {name: value for name, value in group.items() if name not in ("params", "lr")}
        own["initial_lr"] = group.get("initial_lr", group.get("lr"))
        place = f" of group {i}" if len(optimizer.param_groups) > 1 else ""
        lines += [f"{_line(name)}{place}: {_line(value)}" for name, value in sorted(own.items())]
    return "\n".join(lines)


def scheduler_text(scheduler: Any) -> str:
    """Return a scheduler's class and settings, and those of schedulers within it.

    Settings are what is called as a parameter of the constructor.

    Examples
    --------
    >>> import torch
    >>> from linnet.fingerprint import scheduler_text
    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    >>> scheduler_text(torch.optim.lr_scheduler.StepLR(optimizer, 5))
    'StepLR(step_size=5, gamma=0.1)'
    """
    if scheduler is None:
        return "none"
    held = vars(scheduler)
    held = {**held, "milestones": held.get("_milestones", held.get("milestones"))}
    if isinstance(held["milestones"], Counter):
        held["milestones"] = sorted(held["milestones"].elements())
    names = [
        name
        for kind in type(scheduler).__mro__[:-1]
        for name in inspect.signature(kind.__init__).parameters
        if name in held and held[name] is not None and name != "last_epoch"
    ]
    settings = _settings({name: held[name] for name in names})
    inner = map(scheduler_text, held.get("_schedulers", ()))
    text = ", ".join([settings, *inner] if settings else inner)
    return f"{type(scheduler).__name__}({text})" if text else type(scheduler).__name__


def _settings(held: dict[str, Any], but: tuple[str, ...] = ()) -> str:
    """Return the plain ones of an object's attributes as text."""
    return ", ".join(
        f"{name}={_line(repr(value))}"
        for name, value in held.items()
        if _is_plain(value) and name not in but and not name.startswith("_")
    )


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= 100 and all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _line(text: Any) -> str:
    return printable(text)  # without line ends


def of_versions(versions: dict[str, str]) -> dict[str, str]:
    """Return the versions that a training's history tells, each by its name in a fingerprint."""
    return {f"the version of {name}": text for name, text in versions.items()}


def describe(function: Any, name: str) -> str:
    """Return a loss's name and settings, such as class weights, as text."""
    held = {**getattr(function, "_buffers", {}), **getattr(function, "__dict__", {})}
    settings = {
        key: value.tolist() if isinstance(value, torch.Tensor) else value
        for key, value in held.items()
        if not key.startswith("_") and key != "training"
    }
    return f"{name} {settings}" if settings else name


def digest_rows(rows: Rows | Stream) -> str:
    """Return the number of rows, and digests of their bytes; of a stream the number alone."""
    if isinstance(rows, Stream):
        return f"a DataLoader of {len(rows)} rows"
    rows = rows.gathered()
    lines = [f"{len(rows)} rows"]
    for name, tensor in (("inputs", rows.X), ("targets", rows.y), ("weights", rows.weight)):
        lines.append(f"{name}: {'none' if tensor is None else _digest(tensor)}")
    return "\n".join(lines)


def _digest(tensor: torch.Tensor) -> str:
    content = tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data
    kind = f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
    return f"{kind} with digest {hashlib.blake2b(content, digest_size=6).hexdigest()}"
