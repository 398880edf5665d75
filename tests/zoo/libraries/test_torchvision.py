import pytest
import torch

from edgekd.errors import EdgekdError
from edgekd.zoo.build import build


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


def test_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(EdgekdError, match="no model 'resnet19'") as caught:
        build("torchvision:resnet19", classes=5, channels=3)
    assert "Did you mean 'resnet18'?" in caught.value.hint or "Did you mean 'resnet" in caught.value.hint


def test_detection_model_is_unknown() -> None:
    with pytest.raises(EdgekdError, match="no model"):
        build("torchvision:fasterrcnn_resnet50_fpn", classes=5, channels=3)
