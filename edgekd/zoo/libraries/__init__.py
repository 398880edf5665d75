"""Libraries of models, one a module, named before the colon of `torchvision:resnet18`.

A module provides `build(name, *, classes, channels) -> nn.Module`: the model with random weights, or an EdgekdError;
and `preprocessing(name) -> Preprocessing | None`: how the images were prepared that the library's own weights are for.
"""
