"""The seed's notebook, cell by cell, on both compositions."""

import asyncio
from pathlib import Path

import pytest

from tests.system.composition import NOTEBOOK_TOKEN, Composition, standalone
from tests.system.notebook import assert_printed, run_notebook

pytestmark = [pytest.mark.quafu, pytest.mark.asyncio(loop_scope="session")]


async def test_the_notebook_prints_what_it_shows(composition: Composition, tmp_path: Path) -> None:
    if "standalone" in composition.processes:
        async with standalone(tmp_path / "data", token=NOTEBOOK_TOKEN) as fresh:
            printed = await asyncio.to_thread(run_notebook, fresh.url, tmp_path / "work")
    else:
        printed = await asyncio.to_thread(run_notebook, composition.url, tmp_path / "work")
    assert_printed(printed)
