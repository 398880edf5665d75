import sys

import pytest


@pytest.fixture
def lab(tmp_path, uncounted):
    """Makes a devices.toml of so many devices with leases of their own, which are this machine, all with the tag lab;
    and `gone`, which isn't there. They are reached by `at`, and have what a Python has. None counts who waits for a
    CPU: devices of a lab don't take each other's.
    """

    def make(count, at="local:", has=sys.executable):
        listed = ['[devices.gone]\nurl = "local:/no/such/python"\ntarget = "x86-cpu"\n']
        for number in range(count):
            python = tmp_path / f"python{number}"
            python.write_text(f'#!/bin/sh\nPYTHONPATH={uncounted} EDGEKD_LEASE={python}.lease exec {has} "$@"\n')
            python.chmod(0o755)
            listed.append(f'[devices.d{number}]\nurl = "{at}{python}"\ntarget = "x86-cpu"\ntags = ["lab"]\n')
        path = tmp_path / "devices.toml"
        path.write_text("".join(listed))
        return path

    return make
