"""`completion`."""

import click
from click.shell_completion import get_completion_class

from quafu_runtime_cli.state import State, common, pass_state

_HOW = {
    "bash": 'eval "$(quafu-runtime completion bash)"    in ~/.bashrc',
    "zsh": 'eval "$(quafu-runtime completion zsh)"    in ~/.zshrc',
    "fish": "quafu-runtime completion fish > ~/.config/fish/completions/quafu-runtime.fish",
}


@click.command("completion", short_help="Print what makes a shell complete this command.")
@click.argument("shell", type=click.Choice(tuple(_HOW)))
@common
@pass_state
def completion_command(state: State, shell: str) -> None:
    """Print what makes a shell complete commands, options, programs and jobs.

    \b
    bash:  eval "$(quafu-runtime completion bash)"    in ~/.bashrc
    zsh:   eval "$(quafu-runtime completion zsh)"    in ~/.zshrc
    fish:  quafu-runtime completion fish > ~/.config/fish/completions/quafu-runtime.fish
    """
    from quafu_runtime_cli.main import cli

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - the choice has those that there are
    script = found(cli, {}, "quafu-runtime", "_QUAFU_RUNTIME_COMPLETE")
    text = script.source_template % script.source_vars()
    if state.json:
        state.document({"shell": shell, "script": text, "use": _HOW[shell]})
        return
    state.text(text)
