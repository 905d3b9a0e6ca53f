"""Server and sites killed by SIGKILL and started again end as if nothing had happened."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_killed_in_any_round_and_started_again_the_run_ends_bit_for_bit_the_same(tmp_path):
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "crash.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcome = json.loads(done.stdout)
    assert outcome["killed"] == ["SIGKILL"] * 5
    assert [len(outcome["calm"]["history"]), len(outcome["resumed"])] == [4, 5]
    for resumed in outcome["resumed"]:
        assert resumed == outcome["calm"]
