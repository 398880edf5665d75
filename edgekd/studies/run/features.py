"""The features that a network has before its last layer, and what can be said of them."""

import torch
from torch import Tensor, nn

from edgekd.data.dataset import Augmentation, Images, View
from edgekd.errors import UnsupportedModelError
from edgekd.training.forward import forward
from edgekd.training.taps import find_taps

_RIDGE = 1e-3


def embeddings(model: nn.Module, images: Images, most: int) -> tuple[Tensor, Tensor]:
    """What the last linear layer reads (N, F) in fp32, with the labels (N,), for up to about `most` images of all
    classes, always the same ones.

    Raises:
        UnsupportedModelError: the network has no linear layer.
    """
    view = View(Augmentation(pad=0, flip=False), seed=0, epoch=0)  # shuffled: folders are sorted by class
    taps, features, labels = None, [], []
    with torch.inference_mode():
        for batch, classes in images.batches(min(256, len(images)), view):
            taps = taps or find_taps(model, batch[:2])
            embedding = forward(model, batch, "fp32", taps).embedding
            if embedding is None:
                raise UnsupportedModelError("the network has no linear layer whose input could be compared")
            features.append(embedding)
            labels.append(classes)
            if sum(map(len, labels)) >= most:
                break
    return torch.cat(features), torch.cat(labels)


def linear_cka(ours: Tensor, theirs: Tensor) -> float:
    """Linear centred kernel alignment of the features (N, F) and (N, G) of the same images, from 0 to 1: it doesn't
    change when either is rotated or scaled (Kornblith et al., "Similarity of Neural Network Representations Revisited",
    ICML 2019, arXiv:1905.00414, section 3).
    """
    x, y = (features.double() - features.double().mean(0) for features in (ours, theirs))
    shared = (y.T @ x).square().sum()
    alone = (x.T @ x).norm() * (y.T @ y).norm()
    return float(shared / alone) if alone > 0 else 0.0


def probe(features: Tensor, labels: Tensor, unseen: Tensor) -> Tensor:
    """The classes (M,) that a linear classifier, fitted to features (N, F) with labels (N,), gives unseen ones (M, F).

    edgekd's choice: ridge regression on one-hot labels of standardised features, which has one solution and no
    settings to tune but the penalty of N/1000.
    """
    mean, deviation = features.double().mean(0), features.double().std(0).clamp_min(1e-6)
    known, asked = (_with_one((part.double() - mean) / deviation) for part in (features, unseen))
    targets = nn.functional.one_hot(labels).double()
    penalty = _RIDGE * len(known) * torch.eye(known.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(known.T @ known + penalty, known.T @ targets)
    found: Tensor = (asked @ weights).argmax(1)
    return found


def _with_one(features: Tensor) -> Tensor:
    return torch.cat([features, features.new_ones(len(features), 1)], dim=1)


def plane(features: Tensor) -> Tensor:
    """Features (N, F) in the plane of their two principal components, (N, 2); of each axis, the largest component
    points upwards, so that the same features always give the same projection.
    """
    centred = features.double() - features.double().mean(0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    axes = vectors[:, -2:].flip(1)
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    found: Tensor = centred @ (axes * largest.sign())
    return found
