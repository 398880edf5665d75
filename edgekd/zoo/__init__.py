"""The networks: built-in architectures, those of torchvision and timm, the user's own, and their weights."""
