"""The notebook against the stand-in: what the library alone is responsible for."""

from pathlib import Path

import pytest

from tests.sdk.stand_in import Served
from tests.system.notebook import assert_printed, run_notebook

pytestmark = pytest.mark.quafu


def test_the_notebook_prints_what_its_readers_know(tmp_path: Path) -> None:
    with Served() as runtime:
        printed = run_notebook(runtime.url, tmp_path, simulator=False)

    assert_printed(printed)
