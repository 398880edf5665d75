"""Each way in which a device over ssh can't be used has its message and its remedy."""

import re
import shutil
import socket

import pytest
from sshd import serving

from edgekd.devices.device import connect
from edgekd.devices.transports import _master
from edgekd.devices.transports import ssh as transport
from edgekd.errors import DeviceError, EdgekdError, ExitCode


def fails(url):
    """The error of a device that can't be used."""
    with connect(url) as device, pytest.raises(DeviceError) as e:
        _ = device.facts
    assert e.value.exit_code == ExitCode.UNREACHABLE
    assert url in e.value.message
    return e.value


@pytest.mark.parametrize(
    ("where", "url"),
    [
        ("board", "ssh://board"),
        ("pi@board:2222/opt/my py/bin/python", "ssh://pi@board:2222/opt/my py/bin/python"),
        ("[::1]:22", "ssh://[::1]:22"),
        ("pi@[fe80::1%eth0]", "ssh://pi@[fe80::1%eth0]"),
        ("board/", "ssh://board"),
    ],
)
def test_an_address_is_read_as_it_is_written(where, url):
    assert transport.connect(where).url == url
    assert connect(f"ssh://{where}").url == url


@pytest.mark.parametrize(
    "where",
    [
        *("", "/usr/bin/python", "@board", "board:", "board:x", "board:0", "board:65536", "::1", "[::1", "pi@"),
        *("-oProxyCommand=touch x", "-board", "-pi@board", "a board", "board;ls", "$(ls)", "pi`ls`@board", "bo\nard"),
        "board/a\0b",
    ],
)
def test_what_is_no_address_or_would_be_an_option_is_refused(where):
    with pytest.raises(EdgekdError) as e:
        connect(f"ssh://{where}")
    assert e.value.exit_code == ExitCode.USAGE
    assert "ssh://[user@]host" in e.value.hint


def test_a_password_in_a_url_is_refused_and_not_shown():
    with pytest.raises(EdgekdError, match="contains a password") as e:
        connect("ssh://pi:secret@board")
    assert "secret" not in e.value.message + e.value.hint


def test_a_port_nobody_listens_on(sshd):
    assert "the connection was refused" in fails("ssh://127.0.0.1:1").message


def test_a_host_name_that_is_not_known(sshd):
    assert "can't be resolved" in fails("ssh://no-such-host.invalid").message


def test_a_host_that_does_not_answer(sshd, monkeypatch):
    monkeypatch.setattr(_master, "_CONNECT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = fails(f"ssh://127.0.0.1:{silent.getsockname()[1]}")
    assert "it does not answer" in error.message


@pytest.fixture
def known_hosts(sshd):
    """The file, which is put back."""
    file = sshd.root / "known_hosts"
    before = file.read_text()
    yield file
    file.write_text(before)


def test_an_unknown_host_key_is_never_accepted(sshd, known_hosts):
    known_hosts.write_text("")
    error = fails(f"ssh://127.0.0.1:{sshd.port}")
    assert "its host key is unknown" in error.message
    assert f"ssh -p {sshd.port} 127.0.0.1" in error.hint
    assert known_hosts.read_text() == ""
    config = (sshd.root / "config").read_text()
    try:  # nor where the user's configuration says so
        (sshd.root / "config").write_text(config + "  StrictHostKeyChecking no\n")
        assert "its host key is unknown" in fails("ssh://device").message
    finally:
        (sshd.root / "config").write_text(config)
    assert known_hosts.read_text() == ""


def test_a_changed_host_key(sshd, known_hosts):
    other = (sshd.root / "other_key.pub").read_text()
    known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {other}")
    error = fails(f"ssh://127.0.0.1:{sshd.port}")
    assert "its host key has changed" in error.message
    assert f"ssh-keygen -f {known_hosts} -R '[127.0.0.1]:{sshd.port}'" in error.hint
    # a name of the configuration stands for another one in the file
    assert f"ssh-keygen -f {known_hosts} -R '[127.0.0.1]:{sshd.port}'" in fails("ssh://device").hint


def test_a_key_that_is_not_accepted(sshd):
    authorized = sshd.root / "authorized_keys"
    before = authorized.read_text()
    authorized.write_text((sshd.root / "other_key.pub").read_text())
    try:
        error = fails("ssh://device")
    finally:
        authorized.write_text(before)
    assert "does not accept your key" in error.message
    assert "ssh-copy-id device" in error.hint


def test_a_configuration_that_ssh_rejects(sshd):
    config = sshd.root / "config"
    before = config.read_text()
    config.write_text("Nonsense yes\n" + before)
    try:
        assert "ssh rejects your configuration" in fails("ssh://device").message
    finally:
        config.write_text(before)


def test_without_ssh(sshd, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    error = fails("ssh://device")
    assert "can't start ssh" in error.message
    assert "apt install openssh-client" in error.hint


def test_a_python_that_is_not_there(sshd):
    error = fails("ssh://device/no/such/python")
    assert "/no/such/python is no Python; edgekd needs 3.8 or newer" in error.message
    assert "ssh://device/path/to/python" in error.hint


def test_a_home_folder_in_the_path_of_a_python(sshd):
    assert "Write the full path instead of ~, as in ssh://device/home/USER" in fails("ssh://device/~/bin/python").hint


def test_a_python_that_is_too_old(sshd, tmp_path):
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho '3.6 '\n")
    old.chmod(0o755)
    assert f"{old} is Python 3.6; edgekd needs 3.8 or newer" in fails(f"ssh://device{old}").message


def test_a_python_without_the_runtime(sshd, tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sshd.python} -S "$@"\n')
    bare.chmod(0o755)
    with connect(f"ssh://device{bare}") as device, pytest.raises(DeviceError, match="No module named 'onnxrun") as e:
        device.start("onnxruntime")
    assert "-m pip install onnxruntime" in e.value.hint


def device_path(root, **programs):
    """A PATH of a device with the usual programs, those given as shell scripts in their place, and no Python."""
    folder = root / "path"
    folder.mkdir(parents=True)
    for name in ("cat", "mkdir", "uname", "rm", "df", "tar", "sha256sum", "sync", "mv", "sh"):
        if name not in programs:
            (folder / name).symlink_to(shutil.which(name))
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_a_device_without_python(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # in which there is no bundle for it
    with serving(tmp_path, env={"PATH": device_path(tmp_path)}):
        assert "there is no Python" in fails("ssh://device").message


def test_of_several_pythons_one_that_has_a_runtime_is_taken(tmp_path):
    lacking = "echo '3.12 '"
    path = device_path(tmp_path, **{"python3.12": lacking, "python3.11": f'exec {tmp_path}/venv/bin/python "$@"'})
    with serving(tmp_path, env={"PATH": path}), connect("ssh://device") as device:
        assert device._connection.python(["onnxruntime"]) == [f"{path}/python3.11"]
        assert device._connection.python(["openvino"]) == [f"{path}/python3.12"]


def test_a_full_disk(tmp_path):
    full = "echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'; echo '/dev/sda 1 1 2 99% /'"
    with serving(tmp_path, env={"PATH": device_path(tmp_path, df=full)}) as server:
        error = fails(server.url)
    assert re.search(r"its disk is full: 0\.\d MB are to be sent, 0\.0 MB are free", error.message)
    assert f"edgekd devices clean {server.url}" in error.hint


def test_a_disk_that_gets_full_while_files_are_sent(tmp_path):
    first = "echo 'tar: x: Cannot write: No space left on device' >&2"
    full = f"cat > /dev/null; {first}; echo 'tar: Exiting with failure status due to previous errors' >&2; exit 2"
    with serving(tmp_path, env={"PATH": device_path(tmp_path, tar=full)}) as server:
        error = fails(server.url)
        assert not [*server.cache.glob("partial/*")]
    assert "can't send edgekd's agent" in error.message
    assert error.message.endswith("its disk is full (No space left on device)")


@pytest.mark.parametrize("program", ["tar", "sha256sum"])
def test_the_program_that_a_device_lacks_is_named(tmp_path, program):
    path = device_path(tmp_path)
    (tmp_path / "path" / program).unlink()
    with serving(tmp_path, env={"PATH": path}) as server:
        error = fails(server.url)
    assert error.message.endswith(f"it has no {program}")
    assert error.hint.startswith("Install it there")


def test_files_that_arrive_damaged(tmp_path):
    with serving(tmp_path, env={"PATH": device_path(tmp_path, sha256sum="echo 0 -")}) as server:
        assert "arrived damaged" in fails(server.url).message
        assert not [*server.cache.glob("*/*")]


def test_a_cache_folder_that_cannot_be_written(tmp_path):
    with serving(tmp_path, env={"XDG_CACHE_HOME": "/proc/1"}) as server:
        error = fails(server.url)
    assert "can't write to /proc/1/edgekd" in error.message
    assert "set XDG_CACHE_HOME" in error.hint


def test_an_account_that_may_not_log_in(tmp_path):
    with serving(tmp_path, options={"ForceCommand": "echo This account is currently not available.; exit 1"}):
        error = fails("ssh://device")
    assert "this account can't log in: This account is currently not available." in error.message
    assert "ssh://USER@" in error.hint


def test_a_login_shell_that_prints(tmp_path):
    with serving(tmp_path, options={"ForceCommand": 'echo Welcome; eval "$SSH_ORIGINAL_COMMAND"'}) as server:
        error = fails(server.url)
    assert "its login shell prints 'Welcome'" in error.message


def test_a_server_that_has_no_shell(tmp_path):
    with serving(tmp_path, options={"ForceCommand": "echo This service allows sftp connections only. >&2; exit 1"}):
        assert "This service allows sftp connections only" in fails("ssh://device").message


def test_a_server_that_refuses_another_session(tmp_path):
    with serving(tmp_path, options={"MaxSessions": "1"}) as server:
        error = fails(server.url)
    assert "refuses another session" in error.message
    assert "MaxSessions" in error.hint
