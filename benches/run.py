#!/usr/bin/env python3
"""The benchmark's entry: `run.py --help`."""
import argparse
import sys
sys.path.insert(0, __file__.rsplit("/", 1)[0])
from harness import cluster, dataset, settings
p = argparse.ArgumentParser()
p.add_argument("command")
p.add_argument("--rows", type=int, nargs="*", default=[10000, 100000])
a = p.parse_args()
c = cluster.Cluster()
c.start()
for rows in a.rows:
    dataset.ensure(c, rows)
