import importlib.util

import pytest
import torch

from edgekd.errors import EdgekdError
from edgekd.zoo.build import build, preprocessing

has_timm = importlib.util.find_spec("timm") is not None


@pytest.mark.skipif(not has_timm, reason="timm isn't installed")
def test_builds_for_any_channels_and_classes() -> None:
    model = build("timm:resnet10t", classes=7, channels=2)
    assert model.eval()(torch.randn(2, 2, 64, 64)).shape == (2, 7)


@pytest.mark.skipif(not has_timm, reason="timm isn't installed")
def test_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(EdgekdError, match="timm has no model 'mobilenetv3_small_05'") as caught:
        build("timm:mobilenetv3_small_05", classes=7, channels=3)
    assert "mobilenetv3_small_050" in caught.value.hint


@pytest.mark.skipif(has_timm, reason="timm is installed")
def test_missing_library_says_how_to_install_it() -> None:
    with pytest.raises(EdgekdError, match="timm isn't installed") as caught:
        build("timm:resnet10t", classes=7, channels=3)
    assert caught.value.hint == "pip install 'timm'"


@pytest.mark.skipif(not has_timm, reason="timm isn't installed")
@pytest.mark.parametrize(
    ("name", "size", "resize", "mean"),
    [("resnet10t", 176, 201, 0.485), ("vit_base_patch16_224", 224, 248, 0.5), ("convnext_tiny", 224, 235, 0.485)],
)
def test_the_library_knows_how_its_weights_are_fed(name, size, resize, mean) -> None:
    how = preprocessing(f"timm:{name}")
    assert (how.height, how.width, how.resize, how.crop) == (size, size, resize, "center")
    assert (how.interpolation, how.mean[0]) == ("bicubic", mean)
