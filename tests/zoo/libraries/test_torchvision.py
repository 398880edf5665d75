from pathlib import Path

import pytest
import torch
import torchvision

from edgekd.errors import EdgekdError
from edgekd.zoo.build import build, preprocessing
from edgekd.zoo.weights import load_weights


@pytest.mark.parametrize("channels", [1, 3])
def test_builds_for_any_channels_and_classes(channels: int) -> None:
    model = build("torchvision:resnet18", classes=7, channels=channels)
    assert model.eval()(torch.randn(2, channels, 32, 32)).shape == (2, 7)
    first = model.get_submodule("conv1")
    assert (first.in_channels, first.stride, first.padding, first.bias) == (channels, (2, 2), (3, 3), None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_model_with_auxiliary_heads_gives_one_tensor_in_training(name: str) -> None:
    model = build(f"torchvision:{name}", classes=5, channels=1).train()
    assert model(torch.randn(2, 1, 96, 96)).shape == (2, 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_weights_with_the_heads_of_their_training_are_loaded_without_them(name: str, tmp_path: Path) -> None:
    trained = getattr(torchvision.models, name)(weights=None, num_classes=5, aux_logits=True, init_weights=False)
    assert any("aux" in key.lower() for key in trained.state_dict())
    torch.save(trained.state_dict(), tmp_path / "trained.pt")
    model = build(f"torchvision:{name}", classes=5, channels=3)
    load_weights(model, tmp_path / "trained.pt")
    x = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        assert torch.equal(model.eval()(x), trained.eval()(x))
    torch.save({**trained.state_dict(), "other.weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(EdgekdError, match="the weights don't fit the model"):
        load_weights(model, tmp_path / "other.pt")


def test_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(EdgekdError, match="no model 'resnet19'") as caught:
        build("torchvision:resnet19", classes=5, channels=3)
    assert "Did you mean resnet18, resnet" in caught.value.hint
    assert "convnext" not in caught.value.hint


def test_detection_model_is_unknown() -> None:
    with pytest.raises(EdgekdError, match="no model"):
        build("torchvision:fasterrcnn_resnet50_fpn", classes=5, channels=3)


@pytest.mark.parametrize(
    ("name", "size", "resize", "interpolation", "mean"),
    [
        ("resnet18", 224, 256, "bilinear", 0.485),
        ("resnet50", 224, 256, "bilinear", 0.485),  # of two published weights the first
        ("efficientnet_v2_l", 480, 480, "bicubic", 0.5),
        ("vit_h_14", 224, 224, "bicubic", 0.485),  # others are for 518 pixels, which the model isn't made for
        ("inception_v3", 299, 342, "bilinear", 0.5),  # what its own transform_input makes of ImageNet's
        ("googlenet", 224, 256, "bilinear", 0.5),
    ],
)
def test_the_library_knows_how_its_weights_are_fed(name, size, resize, interpolation, mean) -> None:
    how = preprocessing(f"torchvision:{name}")
    assert (how.height, how.width, how.resize, how.crop) == (size, size, resize, "center")
    assert (how.interpolation, how.colour, how.mean[0]) == (interpolation, "rgb", mean)


@pytest.mark.parametrize("name", ["inception_v3", "googlenet"])
def test_what_a_model_does_to_its_input_itself_is_done_before_it(name) -> None:
    """As torchvision builds it for weights, on ImageNet's normalisation, and as it is built here, on ours."""
    torch.manual_seed(0)
    builder = torchvision.models.get_model_builder(name)
    theirs = builder(weights=None, aux_logits=False, init_weights=False, transform_input=True).eval()
    ours = build(f"torchvision:{name}", classes=1000, channels=3).eval()
    ours.load_state_dict(theirs.state_dict())
    how, pixels = preprocessing(f"torchvision:{name}"), torch.rand(1, 3, 299, 299)
    published = torchvision.models.get_model_weights(name).DEFAULT.transforms()

    def fed(mean, std):
        return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    with torch.no_grad():
        expected, found = theirs(fed(published.mean, published.std)), ours(fed(how.mean, how.std))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_what_the_library_says_is_what_its_own_transforms_do() -> None:
    itself = {"googlenet", "inception_v3"}
    for name in {*torchvision.models.list_models(module=torchvision.models)} - itself:
        how = preprocessing(f"torchvision:{name}")
        assert any(
            (*w.transforms().crop_size, tuple(w.transforms().mean)) == (how.height, how.mean)
            for w in torchvision.models.get_model_weights(name)
        )


def test_models_of_no_library_say_nothing() -> None:
    assert preprocessing("resnet32") is None
    assert preprocessing("package.module:factory") is None
