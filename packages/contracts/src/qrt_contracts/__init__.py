"""What crosses a boundary between services, or between the runtime and its users.

Pure data: pydantic models, enums, one table of legal state changes, one tree of faults. Nothing
in this package does I/O, and nothing in it depends on another package of the project.
"""
