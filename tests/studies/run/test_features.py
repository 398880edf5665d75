import pytest
import torch

from edgekd.data.load import load_dataset
from edgekd.studies.run.features import embeddings, linear_cka, plane, probe
from edgekd.zoo.build import build


def features(n=200, width=12, seed=0):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def test_alignment_with_itself_is_one_whatever_the_rotation_and_scale():
    x = features()
    rotation, _ = torch.linalg.qr(features(12, 12, 1))
    assert linear_cka(x, x) == pytest.approx(1)
    assert linear_cka(x, 3 * x @ rotation + 5) == pytest.approx(1, abs=1e-6)


def test_alignment_is_that_of_the_kernels():
    """Against the definition on kernels, HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))."""
    x, y = features(50, 12), features(50, 7, 2)
    y = y + x[:, :7]
    centring = torch.eye(50) - 1 / 50

    def hsic(a, b):
        return torch.trace(a @ a.T @ centring @ b @ b.T @ centring)

    expected = hsic(x, y) / (hsic(x, x) * hsic(y, y)).sqrt()
    assert linear_cka(x, y) == pytest.approx(expected.item(), rel=1e-4)
    assert 0 < linear_cka(x, y) < 1


def test_features_of_nothing_align_with_nothing():
    assert linear_cka(torch.ones(10, 3), features(10, 3)) == 0


def test_a_probe_finds_classes_that_lie_apart_and_guesses_where_they_do_not():
    labels = torch.arange(200) % 4
    centres = 5 * features(4, 12, 3)
    known = centres[labels] + features()
    assert (probe(known[:100], labels[:100], known[100:]) == labels[100:]).float().mean() > 0.95
    blind = features()
    assert (probe(blind[:100], labels[:100], blind[100:]) == labels[100:]).float().mean() < 0.5


def test_the_plane_holds_the_most_variance_and_does_not_depend_on_signs():
    x = features() * torch.tensor([9.0, 5.0, *[0.1] * 10])
    seen = plane(x)
    assert seen.shape == (200, 2)
    assert seen.var(0).tolist() == pytest.approx(x.double().var(0)[:2].tolist(), rel=0.05)
    assert torch.allclose(plane(x.clone()), seen)


def test_embeddings_are_what_the_last_layer_reads():
    data, model = load_dataset("digits"), build("resnet8", classes=10, channels=1).eval()
    found, labels = embeddings(model, data.test, 256)
    assert found.shape == (len(labels), 64)
    assert set(labels.tolist()) == set(range(10))
    again, _ = embeddings(model, data.test, 256)
    assert torch.equal(found, again)
    linear = model.head[-1]
    assert torch.isfinite(linear(found)).all()
