"""Judge the source of a Quafu program, in a process of its own: `python -I -S inspect_source.py`.

Reads the source from stdin and writes one JSON object: `{}` if it can be run, otherwise `detail`,
`line`, `column`, `text`. Nothing of the source is executed. Parsing alone can exhaust or crash the
interpreter, which is why this stands apart and imports the standard library only.
"""

import ast
import json
import resource
import sys
from collections.abc import Iterator

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 10
EXHAUSTED = 77
"""The exit status when the source needs more than the limits give."""
QUOTED = 100
"""Characters of the line at fault shown on either side of the column."""
ENTRY = "run"
ARGUMENTS = ("task", "userpub", "params")
CALL = f"{ENTRY}({', '.join(ARGUMENTS)})"

NO_FUNCTIONS = (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.JoinedStr, ast.ListComp)
Function = ast.FunctionDef | ast.AsyncFunctionDef
Finding = dict[str, str | int]


class Unfit(Exception):
    """The source cannot be accepted."""

    def __init__(self, detail: str, line: int = 0, column: int = 0) -> None:
        super().__init__(detail)
        self.detail, self.line, self.column = detail, line, column


def limit() -> None:
    """Bound what parsing may use; what passes a bound ends this process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def judge(source: bytes) -> Finding:
    """Return what is wrong with a source, empty if nothing is."""
    text = ""
    try:
        text = decoded(source)
        tree = parsed(text)
        check_entry(tree)
    except Unfit as error:
        lines = text.splitlines()
        quoted = lines[error.line - 1] if 0 < error.line <= len(lines) else ""
        start = max(0, error.column - QUOTED)
        return {
            "detail": error.detail,
            "line": error.line,
            "column": error.column,
            "text": quoted[start : start + 2 * QUOTED],
        }
    return {}


def decoded(source: bytes) -> str:
    """Return the text of a source."""
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise Unfit(f"the source is not UTF-8: {error.reason} at byte {error.start} (line {line})") from None
    if "\x00" in text:
        raise Unfit("the source holds a NUL character", text.count("\n", 0, text.index("\x00")) + 1)
    if not text.strip():
        raise Unfit(f"the source is empty; it must define {CALL}")
    return text


def parsed(text: str) -> ast.Module:
    """Return the syntax tree, after the compiler has accepted it."""
    try:
        tree = ast.parse(text, "program.py")
        compile(tree, "program.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        kind = type(error).__name__
        raise Unfit(f"{kind}: {error.msg}", error.lineno or 0, error.offset or 0) from None
    except (RecursionError, MemoryError):
        raise Unfit("the source is too deeply nested or too large to be parsed") from None
    except ValueError as error:
        raise Unfit(f"the source cannot be parsed: {error}") from None
    return tree


def check_entry(tree: ast.Module) -> None:
    """Refuse a module whose `run` is missing or cannot be called with the three arguments."""
    bound = [each for each in at_top(tree.body) if ENTRY in names_bound(each)]
    if not bound:
        raise Unfit(missing(tree))
    last = bound[-1]
    value = last.value if isinstance(last, ast.Assign | ast.AnnAssign) else None
    if isinstance(last, ast.ClassDef) or isinstance(value, NO_FUNCTIONS):
        raise Unfit(f"`{ENTRY}` is not a function; it must be one: {CALL}", last.lineno, last.col_offset + 1)
    if isinstance(value, ast.Lambda):
        check_arguments(value)
    # A decorator, a call or an import can make anything of it: only running it will tell.
    if isinstance(last, Function) and not last.decorator_list:
        check_arguments(last)


def at_top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module's own scope, those inside `if`, `try`, `with` and loops too."""
    for statement in body:
        yield statement
        if isinstance(statement, Function | ast.ClassDef):
            continue
        for name in ("body", "orelse", "finalbody"):
            yield from at_top(getattr(statement, name, []))
        for inner in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
            yield from at_top(inner.body)


def names_bound(statement: ast.stmt) -> set[str]:
    """Return the names a statement binds, without those bound by statements inside it."""
    if isinstance(statement, Function | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names} | (
            {ENTRY} if any(alias.name == "*" for alias in statement.names) else set()
        )
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets = [statement.target]
    return {node.id for each in targets for node in ast.walk(each) if isinstance(node, ast.Name)}


def missing(tree: ast.Module) -> str:
    """Say that there is no entry point, and what stands in its place."""
    for node in ast.walk(tree):
        if isinstance(node, Function) and node.name == ENTRY:
            return (
                f"`{ENTRY}` is defined on line {node.lineno}, but inside something else; "
                f"it must be a function at the top level: {CALL}"
            )
    functions = [each.name for each in tree.body if isinstance(each, Function)]
    found = f"; it defines {', '.join(functions[:8])}" if functions else ""
    return f"the source has no function `{ENTRY}` at the top level: {CALL}{found}"


def check_arguments(function: Function | ast.Lambda) -> None:
    """Refuse a signature that three positional arguments do not fit."""
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args)]
    required = len(names) - len(given.defaults)
    wanted = len(ARGUMENTS)
    keywords = [
        each.arg for each, preset in zip(given.kwonlyargs, given.kw_defaults, strict=True) if preset is None
    ]
    where = (function.lineno, function.col_offset + 1)
    if required > wanted or (len(names) < wanted and not given.vararg):
        raise Unfit(
            f"`{ENTRY}` takes {len(names)} arguments ({', '.join(names)}); it is called with three: {CALL}",
            *where,
        )
    if keywords:
        raise Unfit(
            f"`{ENTRY}` needs keyword arguments ({', '.join(keywords)}); "
            f"it is called with three positional ones: {CALL}",
            *where,
        )


def main() -> None:
    """Judge stdin."""
    source = sys.stdin.buffer.read()
    limit()
    try:
        sys.stdout.write(json.dumps(judge(source)))
    except (MemoryError, RecursionError):
        sys.exit(EXHAUSTED)


if __name__ == "__main__":
    main()
