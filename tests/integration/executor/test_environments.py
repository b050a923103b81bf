"""Where a program environment may stand on the host."""

import tempfile
import venv
from pathlib import Path

from qrt_contracts.values import Isolation
from qrt_executor.adapters.bubblewrap import find_bubblewrap
from tests.integration.executor.rig import body, rig
from tests.support.engines import require


def _environment(parent: Path) -> Path:
    """Make an environment with a module of its own; return its interpreter."""
    parent.chmod(0o755)
    home = parent / "programs"
    venv.create(home, symlinks=True)
    site = next((home / "lib").glob("python*")) / "site-packages"
    (site / "only_here.py").write_text("ANSWER = 42\n")
    return home / "bin" / "python"


async def test_an_environment_under_tmp_works_in_a_jail_that_has_a_tmp_of_its_own(
    mongo_url: str, scratch: Path
) -> None:
    require(find_bubblewrap(), what="bubblewrap")
    with tempfile.TemporaryDirectory(prefix="qrt-environment-", dir="/tmp") as name:
        python = _environment(Path(name))
        async with rig(mongo_url, scratch, level=Isolation.JAIL, program_python=python) as executor:
            told = await executor.run(
                body("import only_here, os", "return [only_here.ANSWER, os.listdir('/tmp')]")
            )
    assert told.result == "[42, []]"
