"""Plugins in a monkey-patched process, as the web process is."""

import re
import subprocess
import sys
from pathlib import Path

from tests.plugins import install


def test_a_spinning_plugin_and_a_blocked_device_do_not_hold_up_the_web_process(tmp_path):
    folder = install(tmp_path, "misbehaving", "devices")
    script = Path(__file__).with_name("under_gevent.py")
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert "panels=0" in done.stdout
    assert re.search(r"readings=[1-9]", done.stdout)
    assert "did not answer within 0.5 s" in done.stdout
    longest = float(re.search(r"longest=([\d.]+)", done.stdout)[1])
    assert longest < 1.0, "a greenlet waited for the processor only, never for a plugin"
