"""Try faults of every kind on real runs, and count what came of them.

    python tests/faults                             # all kinds: hours
    python tests/faults journals states --seed 2    # two kinds
    python tests/faults kills --count 20 --keep DIR # some of a kind; keep the folders of trials that went wrong

A trial passes if nothing was lost, nothing was wrong, nothing hung, and nothing printed a traceback. Exit code 1 says
that a trial did not; its number and seed repeat it: ``python tests/faults KIND --seed SEED --only NUMBER``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from trials import KINDS, run, table


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"one or more of {', '.join(KINDS)}; default: all")
    parser.add_argument("--count", type=int, metavar="N", help="trials of each kind")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="this trial alone")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the folders of trials that went wrong here")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"unknown kind: {', '.join(sorted(unknown))}")
    wrong = 0
    for kind in options.kinds or KINDS:
        numbers = range(options.count or KINDS[kind].count) if options.only is None else [options.only]
        with tempfile.TemporaryDirectory() as folder:
            results = []
            for result in run(kind, numbers, options.seed, options.keep or Path(folder)):
                results.append(result)
                if result.problem:
                    print(f"{kind} {result.number}: {result.problem}", file=sys.stderr, flush=True)
        wrong += sum(bool(result.problem) for result in results)
        print(table(kind, results), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
