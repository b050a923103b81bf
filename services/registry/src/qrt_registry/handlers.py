"""What the registry does with each command: one use case each, no rules here."""

from qrt_chassis.bus.port import CommandHandlers
from qrt_contracts.commands import (
    AddVersion,
    CreateProgram,
    DeleteProgram,
    GetProgram,
    ListPrograms,
    ListVersions,
    ResolveRun,
    UpdateProgram,
)
from qrt_registry.service import Registry


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
        ResolveRun: registry.resolve,
    }
