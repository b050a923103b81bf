"""The entry point of a Python project, found without running it: `run` in `src/program.py`."""

import ast

from qrt_registry.adapters.inspect_source import (
    ENTRY,
    NO_FUNCTIONS,
    QUOTED,
    Function,
    at_top,
    names_bound,
)
from qrt_registry.adapters.projects.archive import Files
from qrt_registry.adapters.projects.unfit import Unfit, shown

PACKAGE = "src/__init__.py"
PROGRAM = "src/program.py"
MAX_SOURCE_BYTES = 4 << 20


def check_sources(files: Files) -> ast.Module:
    """Parse every module under `src`; return the tree of the program's.

    Raises:
        Unfit: a file is missing, or is no Python.
    """
    if PROGRAM not in files:
        raise Unfit(_missing_program(files))
    if PACKAGE not in files:
        raise Unfit(f"there is no {PACKAGE}: src must be a package, so add that file, empty")
    for path in sorted(files):
        if path.startswith("src/") and path.endswith(".py") and path != PROGRAM:
            _tree(path, files[path].data)
    return _tree(PROGRAM, files[PROGRAM].data)


def _missing_program(files: Files) -> str:
    near = [path for path in sorted(files) if path.endswith(f"/{PROGRAM}") or path == "program.py"]
    where = f"; there is {shown(near[0])}: the project's root must be the archive's" if near else ""
    return f"there is no {PROGRAM} with a function {ENTRY}(){where}"


def _tree(path: str, source: bytes) -> ast.Module:
    if len(source) > MAX_SOURCE_BYTES:
        raise Unfit(f"a module has more than {MAX_SOURCE_BYTES} bytes", file=path)
    try:
        tree = ast.parse(source, path)
        compile(tree, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        line, column = error.lineno or 0, error.offset or 0
        raise _at(source, f"{type(error).__name__}: {error.msg}", path, line, column) from None
    except (RecursionError, MemoryError):
        raise Unfit("it is too deeply nested or too large to be parsed", file=path) from None
    except ValueError as error:
        raise Unfit(f"it cannot be parsed: {error}", file=path) from None
    return tree


def _at(source: bytes, detail: str, path: str, line: int, column: int) -> Unfit:
    lines = source.decode("utf-8", "replace").splitlines()
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    start = max(0, column - QUOTED)
    return Unfit(detail, file=path, line=line, column=column, text=text[start : start + 2 * QUOTED])


def entry_of(tree: ast.Module, source: bytes) -> Function | ast.Lambda | None:
    """Return the function that `run` is; None if only running the program will tell.

    Raises:
        Unfit: there is none, or it cannot be called with keyword arguments.
    """

    def unfit(detail: str, node: ast.stmt | ast.expr) -> Unfit:
        return _at(source, detail, PROGRAM, node.lineno, node.col_offset + 1)

    bound = [each for each in at_top(tree.body) if ENTRY in names_bound(each)]
    if not bound:
        raise Unfit(_missing(tree), file=PROGRAM)
    last = bound[-1]
    value = last.value if isinstance(last, ast.Assign | ast.AnnAssign) else None
    if isinstance(last, ast.ClassDef) or isinstance(value, NO_FUNCTIONS):
        raise unfit(f"`{ENTRY}` is not a function; it must be one", last)
    # A decorator, a call or an import can make anything of it.
    found = value if isinstance(value, ast.Lambda) else last
    if not isinstance(found, Function | ast.Lambda) or getattr(found, "decorator_list", None):
        return None
    if found.args.posonlyargs:
        names = ", ".join(each.arg for each in found.args.posonlyargs)
        detail = f"`{ENTRY}` is called with keyword arguments, and takes none for {names} (before the `/`)"
        raise unfit(detail, found)
    return found


def _missing(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, Function) and node.name == ENTRY:
            return (
                f"`{ENTRY}` is defined on line {node.lineno}, but inside something else, not at the top level"
            )
    functions = [each.name for each in tree.body if isinstance(each, Function)]
    found = f"; it defines {', '.join(functions[:8])}" if functions else ""
    return f"there is no function `{ENTRY}` at the top level{found}"
