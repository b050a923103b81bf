"""The runtime beside its peers: one program, one machine, one broker, two workers each.

    make bench-peers

| module | what |
|---|---|
| `systems` | starts each system and says which processes are its own |
| `clients` | one small client each, all driven the same way (`driven`, `driver`) |
| `usage` | CPU time and memory of trees of processes |
| `compare` | measures each system |
| `figures` | what is measured, as data |
| `growth` | how the runtime grows: jobs that wait, listeners, executors, lines of log |
| `plots`, `page` | the plots, and the page docs/performance.md |

`hello`, `driven`, `clients`, `workers` and `plots` run in `.venv/bench` as well: they import nothing of ours.
"""
