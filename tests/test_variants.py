import pytest

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.runtimes import onnxruntime
from edgekd.values import Artifact, File, Variant
from edgekd.variants import complete, of_file, preferred, require_settings, settle


def variant(runtime="onnxruntime", precision="int8", **settings):
    return Variant(runtime=runtime, precision=precision, settings=settings)


def test_settings_at_their_defaults_make_no_other_variant():
    assert settle(variant(threads=1, spinning=True, provider_options={})) == variant()
    assert settle(variant(threads=2, spinning=True)) == variant(threads=2)


def test_all_settings_are_known_where_it_is_opened():
    usual = {"threads": 1, "spinning": True, "exact_integers": False, "provider": None, "provider_options": {}}
    assert complete(variant()) == usual
    assert complete(variant(threads=4, spinning=False)) == usual | {"threads": 4, "spinning": False}


def test_an_unknown_setting_is_reported_with_the_nearest():
    with pytest.raises(EdgekdError, match="onnxruntime has no setting 'thread'") as e:
        settle(variant(thread=2))
    assert "Did you mean 'threads'?" in e.value.hint


@pytest.mark.parametrize(
    ("settings", "should_be"),
    [
        ({"threads": True}, "a whole number from 1"),
        ({"threads": 0}, "a whole number from 1"),
        ({"threads": "2"}, "a whole number from 1"),
        ({"spinning": 1}, "true or false"),
        ({"provider": {"a": "b"}}, "text"),
        ({"provider_options": "a=b"}, "a table of texts"),
    ],
)
def test_a_setting_that_holds_something_else_is_reported(settings, should_be):
    with pytest.raises(EdgekdError, match=f"should be {should_be}"):
        settle(variant(**settings))


def test_a_runtime_that_edgekd_does_not_have_is_reported():
    with pytest.raises(EdgekdError, match="no runtime 'abacus'"):
        settle(variant("abacus"))


def test_names_tell_variants_apart():
    assert variant().name == "onnxruntime-int8"
    assert variant("tensorrt", "int8+fp16").name == "tensorrt-int8+fp16"
    assert variant(threads=2, spinning=False, provider="X Y").name == "onnxruntime-int8-X-Y-no-spinning-threads2"


def artifact(name="net", sha256="0", path="net.onnx", **changes):
    files = (File(path=path, sha256=sha256),)
    fields = {"variant": variant(), "files": files, "disk_bytes": 1, "transfer_bytes": 1}
    return Artifact(name=name, **fields | changes)


def test_what_an_artifact_is_does_not_depend_on_its_name_or_place():
    assert artifact().id == artifact(name="other", path="/elsewhere/other.onnx").id
    others = [
        artifact(sha256="1"),
        artifact(variant=variant(threads=2)),
        artifact(variant=variant(precision="fp32")),
        artifact(variant=variant("openvino")),
        artifact(files=(File(path="net.onnx", sha256="0"), File(path="net.data", sha256="0"))),
    ]
    assert len({artifact().id, *(other.id for other in others)}) == 6


def test_documents_name_files_without_their_folder(tmp_path):
    data = File(path=tmp_path / "weights" / "net.data", sha256="1")
    found = artifact(files=(File(path=tmp_path / "net.onnx", sha256="0"), data))
    bare = found.without_folder()
    assert [str(file.path) for file in bare.files] == ["net.onnx", "weights/net.data"]
    assert bare.below(tmp_path) == found


def test_the_preferred_variant_is_the_first_that_edgekd_can_run():
    jetson = catalog.target("jetson")
    assert preferred(jetson) == variant("tensorrt", "fp32")
    assert preferred(jetson, "int8") == variant("tensorrt", "int8+fp16")
    assert preferred(jetson, "bf16") == variant("tensorrt", "bf16")  # a user's own file
    other = jetson.model_copy(update={"variants": (variant("tflite"), variant(precision="int8"))})
    assert preferred(other, "fp32") == variant(precision="fp32")
    with pytest.raises(EdgekdError, match="edgekd has none of its runtimes: tflite"):
        preferred(jetson.model_copy(update={"variants": (variant("tflite"),)}))


@pytest.mark.parametrize("target", catalog.targets(), ids=lambda target: target.name)
def test_every_shipped_targets_settings_are_known(target):
    known = [v for v in (target.reference, *target.variants) if v.runtime != "tensorrt"]
    assert [settle(v) for v in known] == known
    assert target.reference in target.variants


def test_a_target_with_an_unknown_setting_is_reported(tmp_path):
    target = catalog.target("x86-cpu")
    require_settings(target)
    for changes in ({"reference": variant(thread=2)}, {"variants": (*target.variants, variant(thread=2))}):
        with pytest.raises(EdgekdError, match="target x86-cpu: onnxruntime has no setting 'thread'") as e:
            require_settings(target.model_copy(update=changes))
        assert "'threads'" in e.value.hint
    require_settings(target.model_copy(update={"variants": (variant("tflite", tactics="all"),)}))  # not known here


@pytest.fixture
def told(monkeypatch):
    """ONNX Runtime as if it were told the precision."""
    setting = {"kind": "text", "default": "fp32", "help": "what it computes in"}
    monkeypatch.setattr(onnxruntime, "SETTINGS", {**onnxruntime.SETTINGS, "precision": setting})


def test_a_runtime_with_several_precisions_for_a_file_is_refused_with_the_variants(told):
    assert complete(variant(precision="bf16"))["precision"] == "bf16"
    assert settle(variant(precision="bf16")).name == "onnxruntime-bf16"
    with pytest.raises(EdgekdError, match="no setting 'precision'"):
        settle(Variant(runtime="onnxruntime", precision="bf16", settings={"precision": "fp32"}))


def test_a_file_runs_in_the_variant_of_that_name_if_it_can():
    x86 = catalog.target("x86-cpu")
    assert of_file(x86, "onnxruntime-int8", "int8") == variant()
    with pytest.raises(EdgekdError, match="computes in fp32, which onnxruntime-int8 does not run"):
        of_file(x86, "onnxruntime-int8", "fp32")
    with pytest.raises(EdgekdError, match="x86-cpu has no variant 'onnxruntime-int4'") as e:
        of_file(x86, "onnxruntime-int4", "fp32")
    assert "Did you mean 'onnxruntime-" in e.value.hint


def test_a_file_with_integers_runs_in_every_variant_that_has_some():
    x86 = catalog.target("x86-cpu")
    for precision in ("int8", "int8+bf16", "int8-u8s8", "int8-u8s8+bf16"):
        name = f"openvino-{precision}"
        assert of_file(x86, name, "int8") == variant("openvino", precision)
        with pytest.raises(EdgekdError, match="computes in fp32, which openvino-"):
            of_file(x86, name, "fp32")


def test_a_float_file_runs_in_another_float_precision_where_the_runtime_takes_it(told):
    x86 = catalog.target("x86-cpu")
    x86 = x86.model_copy(update={"variants": (*x86.variants, variant(precision="bf16"))})
    assert of_file(x86, "onnxruntime-bf16", "fp32") == variant(precision="bf16")
    for name, precision in (("onnxruntime-int8", "fp32"), ("onnxruntime-bf16", "int8")):
        with pytest.raises(EdgekdError, match=f"computes in {precision}, which {name} does not run"):
            of_file(x86, name, precision)


@pytest.mark.parametrize(
    ("text", "runtime", "settings"),
    [
        ("onnxruntime", "onnxruntime", {}),
        ("onnxruntime-fp32", "onnxruntime", {}),
        ("onnxruntime:threads=2,spinning=false", "onnxruntime", {"threads": 2, "spinning": False}),
        ("onnxruntime:provider=X,provider_options.a=1,provider_options.b=c=d", "onnxruntime",
         {"provider": "X", "provider_options": {"a": "1", "b": "c=d"}}),
        ("openvino:threads=3", "openvino", {"threads": 3}),
    ],
)  # fmt: skip
def test_a_variant_is_a_runtime_with_settings_too(text, runtime, settings):
    found = of_file(catalog.target("x86-cpu"), text, "fp32")
    assert found == variant(runtime, "fp32", **settings)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("abacus", "target x86-cpu has no variant 'abacus'"),
        ("onnxruntime:thread=2", "no setting 'thread'"),
        ("onnxruntime:threads", "'threads' is not a setting with a value"),
        ("onnxruntime:threads=two", "threads should be a whole number from 1, not 'two'"),
        ("onnxruntime:threads=0", "threads should be a whole number from 1, not 0"),
        ("onnxruntime:spinning=no", "spinning should be true or false, not 'no'"),
        ("onnxruntime:provider_options=a", "'provider_options=a' is not a setting with a value"),
        ("onnxruntime:threads.a=2", "'threads.a=2' is not a setting with a value"),
        ("onnxruntime-int8", "the model computes in fp32, which onnxruntime-int8 does not run"),
    ],
)
def test_a_variant_that_cannot_be_read_is_reported(text, says):
    with pytest.raises(EdgekdError) as e:
        of_file(catalog.target("x86-cpu"), text, "fp32")
    assert says in e.value.message
    assert e.value.hint
