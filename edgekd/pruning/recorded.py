"""What parts of a network gave for some images, so that a network which begins in the same way needn't compute it.

Parts are blocks and what is in none. Two networks begin in the same way as far as their parts have equal weights, in
the order in which they run.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.pruning.blocks import block_names

_MOST = 400_000_000
"""Bytes of what is kept of a network: of its first parts, which take longest where maps are large."""


def parts(model: nn.Module) -> tuple[str, ...]:
    """The paths of the parts of a network."""
    return tuple(_within("", model, block_names(model)))


def _within(path: str, module: nn.Module, blocks: tuple[str, ...]) -> Iterator[str]:
    start = f"{path}." if path else ""
    if path and not any(block.startswith(start) for block in blocks):
        yield path
        return
    for name, child in module.named_children():
        yield from _within(f"{start}{name}", child, blocks)


@dataclass
class Recorded:
    """What the parts of one network gave: `of` records while it runs.

    Args:
        names: of the parts.
        images: how many images there are in all.
    """

    names: tuple[str, ...]
    images: int
    outputs: dict[str, list[Tensor]] = field(default_factory=dict)
    """In the order in which they ended first, by batches."""
    _bytes: int = 0
    _odd: set[str] = field(default_factory=set)

    @contextmanager
    def of(self, model: nn.Module) -> Iterator[None]:
        """Within the context, for one batch, the parts of this network are recorded."""
        ran: set[str] = set()

        def gave(name: str, output: Any) -> None:
            if name in ran or not isinstance(output, Tensor):
                self._odd.add(name)  # it runs again, or gives several tensors
            elif name not in self.outputs:
                self._bytes += output.nbytes * self.images // len(output)
            ran.add(name)
            kept = self.outputs.setdefault(name, [])
            if self._bytes <= _MOST and name not in self._odd:
                kept.append(output.detach().clone())  # what comes next may change it in place

        with ExitStack() as stack:
            for name in self.names:
                part = model.get_submodule(name)
                stack.callback(part.register_forward_hook(lambda _, __, output, name=name: gave(name, output)).remove)
            yield

    def first(self) -> dict[str, Tensor]:
        """What the first parts gave, up to one of which something isn't known."""
        found = {}
        for name, batches in self.outputs.items():
            if name in self._odd or sum(map(len, batches)) != self.images:
                break
            found[name] = torch.cat(batches)
        return found


@contextmanager
def replayed(model: nn.Module, outputs: Mapping[str, Tensor]) -> Iterator[None]:
    """Within the context these parts of a network give what was recorded, and compute nothing."""
    with ExitStack() as stack:
        for name, output in outputs.items():
            part: Any = model.get_submodule(name)
            part.forward = lambda *_, output=output, **__: output.clone()
            stack.callback(part.__delattr__, "forward")
        yield


Described = Mapping[str, tuple[type[nn.Module], Mapping[str, Tensor]]]
"""Kind and tensors of each part, by its name; of "" what is in no part."""


def described(model: nn.Module, names: Sequence[str]) -> Described:
    """These parts as they are now."""
    state = {key: value.detach() for key, value in model.state_dict().items()}
    starts = tuple(f"{name}." for name in names)
    found: dict[str, tuple[type[nn.Module], Mapping[str, Tensor]]] = {
        name: (type(model.get_submodule(name)), {key: one for key, one in state.items() if key.startswith(f"{name}.")})
        for name in names
    }
    return found | {"": (type(model), {key: one for key, one in state.items() if not key.startswith(starts)})}


@dataclass(frozen=True)
class Beginning:
    """How a network begins that others are like, and what its parts gave."""

    parts: Described
    repairing: Mapping[str, Tensor]
    """What they gave for the images that repair."""
    judging: Mapping[str, Tensor]
    """And for those that judge."""

    def like(self, model: nn.Module) -> tuple[str, ...]:
        """The parts that this network begins with as well."""
        known, found = [name for name in self.repairing if name in self.judging], list[str]()
        if not known:
            return ()
        own = described(model, [name for name in self.parts if name])
        if not _equal(own[""], self.parts[""]):
            return ()
        for name in known:
            if not _equal(own[name], self.parts[name]):
                break
            found.append(name)
        return tuple(found)


NOTHING = Beginning({}, {}, {})
"""Of what no network begins like."""


def _equal(
    one: tuple[type[nn.Module], Mapping[str, Tensor]], other: tuple[type[nn.Module], Mapping[str, Tensor]]
) -> bool:
    (kind, own), (other_kind, others) = one, other
    same = kind is other_kind and own.keys() == others.keys()
    return same and all(torch.equal(value, others[key]) for key, value in own.items())
