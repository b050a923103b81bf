"""A load generator for capacity planning: does this installation carry that load, and how does it answer?

    python -m benchmarks.load https://runtime.example.org --rate 20 --seconds 60

Arrivals are open-loop: they come when a Poisson process says, whether or not earlier ones have been answered.
Times are counted from the moment when a job should have been sent, so a server that stalls is charged with
all that came meanwhile (no coordinated omission), and what never ends counts with the time it was waited for.

| module | what |
|---|---|
| `arrivals` | when what comes |
| `programs` | the kinds of jobs |
| `account` | the owners, and what is made for them and removed again |
| `jobs` | one arrival from its submission to its end |
| `listeners` | WebSockets on a job that publishes all the time |
| `report` | percentiles, errors, one JSON object |
"""
