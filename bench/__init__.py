"""The benchmarks: what the design promises, measured on real parts. README.md has the method."""
