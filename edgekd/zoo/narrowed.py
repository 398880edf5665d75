"""How wide each layer of a pruned network was, and is."""

from edgekd.values.network import LayerWidth, Network
from edgekd.zoo import networks
from edgekd.zoo.definition import Definition, Layers, layers_of

_OUTPUTS = ("out_channels", "out_features")


def layer_widths(network: Network) -> tuple[LayerWidth, ...]:
    """Each convolution and linear layer of the architecture, in the order of its modules; none of a whole network.

    Raises:
        EdgekdError: as `Definition.read` and `networks.untrained`.
    """
    if network.definition is None:
        return ()
    before = _outputs(layers_of(networks.untrained(network.architecture, 0)))
    after = _outputs(Definition.read(network.definition.path).layers)
    return tuple(LayerWidth(layer=path, before=width, after=after.get(path, 0)) for path, width in before.items())


def _outputs(layers: Layers) -> dict[str, int]:
    return {path: sizes[name] for path, sizes in layers.items() for name in _OUTPUTS if name in sizes}
