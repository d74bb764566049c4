"""One service process per SQLite file."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.database.lock import only_service
from service.errors import Conflict

HOLD = """
import sys
from service.database.lock import only_service
with only_service(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_has_died(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'gradsweep.db'}"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Conflict, match=rf"process {holder.pid}\) works on .*gradsweep\.db"), only_service(url):
            pass
        holder.kill()
        holder.wait()
    with only_service(url):
        pass


@pytest.mark.parametrize("url", ["postgresql+psycopg:///x", "sqlite://"])
def test_what_is_no_file_needs_no_lock(url: str) -> None:
    with only_service(url), only_service(url):
        pass
