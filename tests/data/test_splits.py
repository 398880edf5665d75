import torch

from edgekd.data.splits import stratified

LABELS = torch.arange(1000) % 7


def test_every_image_is_in_one_part() -> None:
    parts = stratified(LABELS, (0.1, 0.2), seed=0)
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(1000))
    assert all(torch.equal(part, part.sort().values) for part in parts)


def test_every_part_keeps_the_share_of_every_class() -> None:
    for part, fraction in zip(stratified(LABELS, (0.1, 0.2), seed=0), (0.7, 0.1, 0.2), strict=True):
        counts = torch.bincount(LABELS[part])
        assert (counts - fraction * torch.bincount(LABELS)).abs().max() <= 1


def test_seed_decides_the_split() -> None:
    a, same, other = (stratified(LABELS, (0.1,), seed=seed)[1] for seed in (0, 0, 1))
    assert torch.equal(a, same)
    assert not torch.equal(a, other)


def test_the_smallest_class_is_in_every_part() -> None:
    labels = torch.tensor([0] * 50 + [1] * 3)
    assert [torch.bincount(labels[part])[1].item() for part in stratified(labels, (0.1, 0.2), seed=0)] == [1, 1, 1]
