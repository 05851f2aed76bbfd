"""The chaos run: hundreds of customers on a whole stack whose parts are killed and whose providers fail, and a judge
that knows what was promised to whom. `python -m benchmarks.chaos`; docs/reliability.md holds its latest table."""
