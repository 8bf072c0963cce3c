"""Benchmarks of omenvec and its peers, side by side: see bench/README.md."""
