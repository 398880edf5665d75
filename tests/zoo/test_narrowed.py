"""The widths of a pruned network's layers, before and after."""

from edgekd.values.network import LayerWidth
from edgekd.zoo import networks
from edgekd.zoo.definition import Definition, layers_of, remove_blocks
from edgekd.zoo.narrowed import layer_widths

SHAPE = (1, 16, 16)


def test_each_layer_is_as_wide_as_it_was_and_is_and_nothing_where_its_block_is_gone(tmp_path):
    known = networks.architecture("resnet14", classes=10, shape=SHAPE)
    module = networks.untrained(known, 0)
    remove_blocks(module, ("stage1.0",))
    layers = layers_of(module)
    layers["stage2.0.first.0"] |= {"out_channels": 8}
    document = {"classes": 10, "channels": 1, "height": 16, "width": 16, "kept": {}, "removed": ("stage1.0",)}
    Definition(model="resnet14", layers=layers, **document).write(tmp_path / "structure.json")
    definition = networks.file_of(tmp_path / "structure.json")
    whole = networks.save(module, tmp_path / "weights.safetensors", known, origin="random")
    found = layer_widths(whole.model_copy(update={"definition": definition}))
    assert [one.layer for one in found if one.after == 0] == ["stage1.0.first.0", "stage1.0.second.0"]
    assert [one for one in found if 0 < one.after < one.before] == [
        LayerWidth(layer="stage2.0.first.0", before=32, after=8)
    ]
    assert (found[0].layer, found[-1].after) == ("stem.0", 10)
    assert layer_widths(whole) == ()
