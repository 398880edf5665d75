import hashlib
import io
import subprocess
import tarfile

from edgekd.devices.transports import _posix

FASTER = """
mv() {
mkdir -p "$2/$key"
cp "$partial/$key/file" "$2/file"
cp "$partial/$key/file" "$2/$key/file"
command mv "$@"
}
"""


def test_a_push_that_others_overtook_at_its_end_is_no_failure(tmp_path):
    """One other has given the folder its name, and a second, which was late as well, has not yet taken its own away."""
    sha256 = hashlib.sha256(b"content").hexdigest()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in [("key/file", b"content"), ("check", _posix.checks({"file": sha256}))]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    script = FASTER + _posix.receive(str(tmp_path), "key", 7)
    ended = subprocess.run(["sh", "-c", script], input=archive.getvalue(), capture_output=True)
    assert (ended.returncode, ended.stdout) == (0, b"send\ndone\n")
    assert {one.name for one in (tmp_path / "files/key").iterdir()} == {"file"}
    assert not list((tmp_path / "partial").iterdir())
