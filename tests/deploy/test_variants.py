import pytest

from edgekd import catalog
from edgekd.deploy.variants import deployable, require_reference, why_not
from edgekd.errors import EdgekdError
from edgekd.runtimes import onnxruntime
from edgekd.values import Variant

TARGET = catalog.target("x86-cpu")
FP32, INT8 = (Variant(runtime="onnxruntime", precision=precision) for precision in ("fp32", "int8"))
ABACUS = Variant(runtime="abacus", precision="fp32")


def test_variants_that_can_be_written_and_run_are_kept_in_their_order():
    found = deployable(TARGET.model_copy(update={"variants": (INT8, ABACUS, FP32)}))
    assert found.variants == (INT8, FP32)
    assert [gone.name for gone in found.left_out] == ["abacus-fp32"]


def test_the_reason_is_what_is_missing(monkeypatch):
    assert why_not(FP32) is None
    assert why_not(ABACUS) == "edgekd has no runtime for abacus"
    fp4 = Variant(runtime="onnxruntime", precision="fp4")
    assert why_not(fp4) == "the writer for onnxruntime has no fp4, only fp32, int8"

    def missing():
        raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")

    monkeypatch.setattr(onnxruntime, "describe", missing)
    assert why_not(FP32) == "onnxruntime is not installed"

    def too_old():
        raise EdgekdError("onnxruntime 1.0 is too old", "Install a newer one.")

    monkeypatch.setattr(onnxruntime, "describe", too_old)
    assert why_not(FP32) == "onnxruntime 1.0 is too old: Install a newer one."


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (ABACUS, "its reference is abacus-fp32, and edgekd has no runtime for abacus"),
        (Variant(runtime="onnxruntime", precision="fp16"), "its reference is onnxruntime-fp16, and the writer for"),
    ],
)
def test_a_reference_that_cannot_be_deployed_is_refused(reference, says):
    with pytest.raises(EdgekdError, match=says) as e:
        require_reference(TARGET.model_copy(update={"reference": reference}))
    assert "onnxruntime-fp32" in e.value.hint
    require_reference(TARGET)


def test_a_setting_that_the_runtime_does_not_have_is_refused():
    odd = FP32.model_copy(update={"settings": {"theads": 2}})
    with pytest.raises(EdgekdError, match="target x86-cpu: onnxruntime has no setting 'theads'"):
        require_reference(TARGET.model_copy(update={"variants": (FP32, odd)}))


def test_settings_that_are_the_runtimes_defaults_make_no_other_variant():
    stated = FP32.model_copy(update={"settings": {"threads": 1}})
    assert deployable(TARGET.model_copy(update={"variants": (stated,)})).variants == (FP32,)
