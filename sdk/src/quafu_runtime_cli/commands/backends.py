"""`backends`."""

import click

from quafu_runtime_cli import tables
from quafu_runtime_cli.state import State, common, pass_state
from quafu_runtime_cli.tables import Column


@click.command("backends", short_help="List where circuits can run.")
@common
@pass_state
def backends_command(state: State) -> None:
    """List where circuits can run: simulators, and machines of the Quafu cloud."""
    found = state.service.backends()
    columns = (
        Column("NAME", whole=True),
        Column("STATUS"),
        Column("QUBITS", right=True),
        Column("QUEUE", right=True),
        Column("EXECUTORS", right=True),
        Column("KIND"),
    )
    rows = [
        (each.name, each.status, each.qubits, each.queue, each.executors, _kind(each.simulated))
        for each in found
    ]
    tables.listing(
        state,
        {"backends": [each.model_dump(mode="json") for each in found]},
        columns,
        rows,
        empty="No executor serves a backend now.",
    )


def _kind(simulated: bool) -> str:
    return "simulator" if simulated else "machine"
