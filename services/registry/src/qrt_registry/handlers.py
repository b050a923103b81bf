"""What the registry does with each command: one use case each, no rules here."""

from qrt_chassis.bus.port import CommandHandlers, Handlers, Subscription
from qrt_contracts.commands import (
    AddVersion,
    CreateProgram,
    DeleteProgram,
    GetProgram,
    ListPrograms,
    ListVersions,
    ReadBuildLog,
    ResolveRun,
    UpdateProgram,
)
from qrt_contracts.events import BuildProgress, VersionBuilt
from qrt_contracts.message import Exchange
from qrt_registry.builds import Builds
from qrt_registry.service import Registry

BUILDS = Subscription(
    queue="registry.builds",
    bindings=((Exchange.EVENTS, "program.*.build"), (Exchange.EVENTS, "program.*.built")),
    single_active=True,  # a log's lines are kept in their order
)


def commands(registry: Registry) -> CommandHandlers:
    """Return what answers each command."""
    return {
        CreateProgram: registry.create,
        AddVersion: registry.add_version,
        UpdateProgram: registry.update,
        DeleteProgram: registry.delete,
        GetProgram: registry.get,
        ListPrograms: registry.list,
        ListVersions: registry.list_versions,
        ReadBuildLog: registry.read_build_log,
        ResolveRun: registry.resolve,
    }


def builds(builds: Builds) -> Handlers:
    """Return what hears of builds."""
    return {BuildProgress: builds.progressed, VersionBuilt: builds.ended}
