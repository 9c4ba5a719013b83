"""The benchmark harness behind benches/run.py; benches/README.md says how it is used."""
