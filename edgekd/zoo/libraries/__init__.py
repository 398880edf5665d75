"""Libraries of models, one a module, named before the colon of `torchvision:resnet18`."""
