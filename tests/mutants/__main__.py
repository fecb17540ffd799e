"""Plant each bug, and print who noticed it: ``make mutants``.

With ``--random N`` up to N random schedules of a kind are tried on each as well.
"""

from __future__ import annotations

import argparse
import logging
import sys

from .catalogue import CATALOGUE
from .hunting import notices, schedules_until_noticed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--random", type=int, default=0, help="schedules to try on each (default none)")
    parser.add_argument("--kind", default="core", help="of which kind (default core)")
    parser.add_argument("--start", type=int, default=0, help="the first seed (default 0)")
    given = parser.parse_args()
    logging.disable()  # a bug has much to say
    caught = 0
    for one in CATALOGUE:
        is_caught = notices(one)
        caught += is_caught
        by = one.witness if is_caught else f"NOT by {one.witness}"
        line = f"{one.name:58} {by:75}"
        if given.random:
            found = schedules_until_noticed(one, given.kind, given.start, given.random)
            line += f"not within {given.random}" if found is None else f"after {found} schedules"
        print(line.rstrip(), flush=True)
    print(f"{caught} of {len(CATALOGUE)} caught: {100 * caught / len(CATALOGUE):.0f} %")
    return 0 if caught == len(CATALOGUE) else 1


if __name__ == "__main__":
    sys.exit(main())
