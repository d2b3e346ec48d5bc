"""The benchmarks: what the design promises, measured on real parts. README.md has the method.

Entries: `python -m bench`, with names or without, and `catalog.BENCHES`, which lists them. Each bench is a module that
`run_one` runs in a process of its own; how stacks are started and figures are judged stays inside.
"""
