"""Finds which channels must be removed together by trying it, for networks that a dependency graph can't trace.

Marks show where each channel goes (`pruning.marks`); channels that meet are removed together. Marks can't show what the
code does with numbers of channels, such as splitting a map in halves. So every group is narrowed on a copy and compared
with the original (`pruning.proof`). If that fails, it is tried again with the channels at the same position of two,
three or four equal parts removed together, as after a split; otherwise the group keeps its width. The rest of the
network is pruned nevertheless.
"""

import copy
import time
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.pruning.classes import Class, buckets, places, readers
from edgekd.pruning.cut import is_depthwise, keep_channels, keep_inputs, keep_outputs
from edgekd.pruning.graph import Group, Member, outputs_of
from edgekd.pruning.marks import MIXING, Reached, mixer, mixing_layers, trace
from edgekd.pruning.process import UNPRUNED
from edgekd.pruning.proof import require_proof

_PARTS = (2, 3, 4)
_MOST_PARTED = 8
"""The number of layers that are tried in parts: each takes some tenths of a second."""
_LIMIT_S, _ATTENTION_S = 25, 8
"""Limits in processor time, which doesn't depend on other load. They decide whether a network is refused, never how it
is pruned. The shorter one is for networks that mix all channels of the first layer, as attention does: hardly any
layer of these can be narrowed.
"""


class Probed:
    """The removable channels of a network, which `keep` narrows in place; satisfies `graph.Channels`.

    Args:
        model: in eval mode; the caller's own copy.
        example: one input (1, C, H, W).

    Raises:
        UnsupportedModelError: nothing can be narrowed, or trying takes too long.
    """

    def __init__(self, model: nn.Module, example: Tensor, *, like: "Probed | None" = None) -> None:
        self._model, self._example = model, example
        self._left: dict[tuple[str, bool], tuple[int, ...]] = {}
        self._order: tuple[str, ...]
        self._reached: Mapping[str, Reached]
        self._classes: Mapping[str, Sequence[Class]]
        if like is not None:
            self._order, self._reached, self._classes = like._order, like._reached, like._classes
        else:
            started = time.process_time()
            self._order = mixing_layers(model, example)
            mixes = self._order and mixer(model, example, self._order[0])
            self._until = started + (_ATTENTION_S if mixes else _LIMIT_S)
            self._reached = trace(model, example, self._order, before=self._in_time)
            self._why = "no layer's channels can be traced to the layers that read them"
            self._tried: dict[frozenset[Class], bool] = {}
            self._classes = self._named(self._groups())
        self.groups = tuple(self._group(root, found) for root, found in self._classes.items())
        if not self.groups:
            raise self._refused(f"no layer can be narrowed: {self._why}")

    def keep(self, root: str, channels: Sequence[int]) -> None:
        """Narrow the group of layer `root` to these of its channels, in every layer that shares them."""
        gone = set(range(len(self._classes[root]))) - set(channels)
        self._left = self._cut(self._model, [self._classes[root][i] for i in sorted(gone)], self._left)

    def _in_time(self) -> None:
        if time.process_time() > self._until:
            raise self._refused("its channels depend on each other in too many ways to analyse in the time limit")

    def _refused(self, why: str) -> UnsupportedModelError:
        computed = next((n for n in self._order if "weight" not in self._model.get_submodule(n)._parameters), None)
        if computed is not None:
            what = f"the network can't be pruned: the weight of {computed!r} is computed from other tensors"
            hint = "torch.nn.utils.parametrize.remove_parametrizations and remove_weight_norm make plain weights."
            return UnsupportedModelError(what, f"{hint} {UNPRUNED}")
        found = mixer(self._model, self._example, self._order[0]) if self._order else None
        first = f"; the first to mix all of them is {found[0]!r}, a {found[1]}" if found else ""
        return UnsupportedModelError(f"the network can't be pruned: {why}{first}", UNPRUNED)

    def _buckets(self, parts: Mapping[str, int]) -> list[list[Class]]:
        return buckets(self._model, self._order, self._reached, parts)

    def _groups(self) -> list[list[Class]]:
        """The buckets that can be narrowed."""
        plain = self._buckets({})
        if plain and self._passes(plain, 0) and self._passes(plain, 1):
            return plain
        failed = [bucket for bucket in plain if not self._passes([bucket], 0)]
        parts: dict[str, int] = {}
        for name in self._first_layers(failed)[:_MOST_PARTED]:
            parts |= self._parted(name, parts)
        alone = [bucket for bucket in self._buckets(parts) if self._passes([bucket], 0)]
        if alone and self._passes(alone, 1):
            return alone
        together: list[list[Class]] = []
        for bucket in alone:
            if self._passes([*together, bucket], 1):
                together.append(bucket)
        return together

    def _parted(self, name: str, parts: Mapping[str, int]) -> dict[str, int]:
        """The layer with the smallest number of parts in which its channels can be removed; empty if there is none."""
        for count in _PARTS:
            if outputs_of(self._model.get_submodule(name)) % count:
                continue
            found = [b for b in self._buckets({**parts, name: count}) if any(n == name for n, _ in b[0])]
            if found and all(self._passes([b], 0) for b in found):
                return {name: count}
        return {}

    def _first_layers(self, buckets: Sequence[Sequence[Class]]) -> list[str]:
        firsts = {min((name for name, _ in bucket[0]), key=self._order.index) for bucket in buckets}
        return sorted(firsts, key=self._order.index)

    def _passes(self, buckets: Sequence[Sequence[Class]], seed: int) -> bool:
        """Whether the network without some channels of each bucket, a different fraction of each, passes the proof."""
        key = frozenset(each for bucket in buckets for each in bucket)
        if len(buckets) == 1 and key in self._tried:
            return self._tried[key]
        self._tried[key] = passes = self._try(buckets, seed)
        return passes

    def _try(self, buckets: Sequence[Sequence[Class]], seed: int) -> bool:
        self._in_time()
        generator = torch.Generator().manual_seed(seed)
        gone = []
        for i, bucket in enumerate(buckets):
            most = len(bucket) - 1
            count = min(most, max(1, round(len(bucket) * (0.5, 0.25, 0.65)[(i + seed) % 3])))
            gone += [bucket[k] for k in torch.randperm(len(bucket), generator=generator)[:count].tolist()]
        student = copy.deepcopy(self._model)
        try:
            left = self._cut(student, gone, {})
            kept = {name: channels for (name, is_output), channels in left.items() if is_output}
            with torch.inference_mode():
                require_proof(self._model, student, self._example, kept=kept)
        except Exception as e:  # the network's own forward may raise anything
            self._why = str(e).splitlines()[0] if isinstance(e, UnsupportedModelError) else self._why
            return False
        return True

    def _cut(
        self, model: nn.Module, gone: Iterable[Class], left: Mapping[tuple[str, bool], tuple[int, ...]]
    ) -> dict[tuple[str, bool], tuple[int, ...]]:
        """Remove classes of channels in place.

        Args:
            model: the network, or a copy of it.
            gone: the classes to remove.
            left: the remaining channels of the layers cut so far, by layer, for its outputs and its inputs.
        """
        nodes = {node for each in gone for node in each}
        now = dict(left)
        for name in self._order:
            layer, before = model.get_submodule(name), now.get((name, True))
            before = before or tuple(range(outputs_of(layer)))
            kept = tuple(c for c in before if (name, c) not in nodes)
            if kept != before:
                keep_outputs(layer, [i for i, c in enumerate(before) if (name, c) not in nodes])
                now[name, True] = kept
        for name in readers(self._reached):
            layer = model.get_submodule(name)
            if is_depthwise(self._model.get_submodule(name)):
                continue
            at_places = list(places(self._reached, name))
            before = now.get((name, False)) or tuple(range(len(at_places)))
            stays = [i for i, p in enumerate(before) if not nodes.intersection(at_places[p])]
            if len(stays) == len(before):
                continue
            if isinstance(layer, MIXING):
                keep_inputs(layer, stays)
            else:
                keep_channels(layer, stays, len(before))
            now[name, False] = tuple(before[i] for i in stays)
        return now

    def _named(self, buckets: Sequence[Sequence[Class]]) -> dict[str, Sequence[Class]]:
        """The buckets by the layer that each is named after; without those whose layers all name other buckets."""
        named: dict[str, Sequence[Class]] = {}
        for bucket in buckets:
            names = sorted({name for name, _ in bucket[0]} - named.keys(), key=self._order.index)
            if names:
                named[names[0]] = bucket
        return named

    def _group(self, root: str, bucket: Sequence[Class]) -> Group:
        index = {node: i for i, each in enumerate(bucket) for node in each}
        members = []
        for name in sorted({n for n, _ in bucket[0]}, key=lambda n: (n != root, self._order.index(n))):
            pairs = sorted((c, i) for (n, c), i in index.items() if n == name)
            members.append(self._member(name, "out", pairs))
        for name in sorted(readers(self._reached)):
            layer = self._model.get_submodule(name)
            if is_depthwise(layer):
                continue
            pairs = [
                (p, index[nodes[0]])
                for p, nodes in enumerate(places(self._reached, name))
                if nodes and nodes[0] in index
            ]
            if pairs and isinstance(getattr(layer, "weight", None), Tensor):
                members.append(self._member(name, "in" if isinstance(layer, MIXING) else "out", pairs))
        return Group(root, len(bucket), 1, tuple(members))

    def _member(self, name: str, side: str, pairs: Sequence[tuple[int, int]]) -> Member:
        channels, sources = zip(*pairs, strict=True)
        return Member(self._model.get_submodule(name), side, channels, sources)  # type: ignore[arg-type]
