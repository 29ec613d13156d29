"""A CUDA device that is not there: tensors on it have real values, say that they are on cuda:0, and whatever mixes them
with those of the CPU, or hands them to NumPy, is refused as it is where there is one.

PyTorch's own FakeTensorMode raises there too, but has no values, on which nearly all that is tested here depends.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

CUDA = torch.device("cuda:0")
MARK = "_on_pretended_device"
ACROSS = {"copy_"}  # may have tensors of two devices
TO_NUMPY = {"numpy", "__array__"}


def is_there(tensor: Tensor) -> bool:
    return MARK in vars(tensor)


def put(tensor: Tensor) -> Tensor:
    setattr(tensor, MARK, True)
    return tensor


def put_model(model: torch.nn.Module) -> Any:
    for tensor in (*model.parameters(), *model.buffers()):
        put(tensor)
    return model


class PretendedDevice(TorchFunctionMode):
    """While it is active. Of one thread, as all such modes."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name == "__get__":
            return self._property(func, args)
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = any(is_there(tensor) for tensor in tensors)
        if there and name in TO_NUMPY:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if name in ("cpu", "cuda", "to"):
            return self._moved(func, name, args, kwargs)
        if name not in ACROSS and there and not all(is_there(t) or t.ndim == 0 for t in tensors):
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, found cuda:0 and cpu")
        if kwargs.get("device") is not None:
            there = torch.device(kwargs["device"]).type == "cuda"
            kwargs["device"] = torch.device("cpu")
        result = func(*args, **kwargs)
        return tree_map_only(Tensor, put, result) if there else result

    def _property(self, func: Any, args: Any) -> Any:
        value = func(*args)
        if not is_there(args[0]):
            return value
        if isinstance(value, torch.device):
            return CUDA
        return put(value) if isinstance(value, Tensor) else value

    def _moved(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Tensor:
        tensor, *others = args
        where: Any = {"cpu": "cpu", "cuda": "cuda"}.get(name, kwargs.pop("device", None))
        for at, other in enumerate(others):
            if isinstance(other, Tensor):
                where = CUDA if is_there(other) else "cpu"
                others[at] = other.dtype
            elif isinstance(other, (str, torch.device)):
                where = other
                others[at] = "cpu"
        there = is_there(tensor) if where is None else torch.device(where).type == "cuda"
        found: Tensor = func(tensor, *others, **kwargs) if name == "to" and (others or kwargs) else tensor
        if there == is_there(found):
            return found
        if found is tensor or is_there(found):
            found = found.detach().clone() if not found.requires_grad else found.clone()
            vars(found).pop(MARK, None)
        return put(found) if there else found


class SerialPool:
    """In place of a pool of threads, of which each would leave the pretended device."""

    def map(self, function: Callable[..., Any], *over: Iterable[Any]) -> Iterator[Any]:
        return iter([function(*given) for given in zip(*over, strict=False)])
