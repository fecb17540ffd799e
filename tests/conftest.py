"""How much chance the random tests are given.

``pytest --hypothesis-profile=thorough`` runs twenty times as many examples. A failing random test prints the
example it has shrunk to, and a line ``@reproduce_failure(…)`` that replays it when put above the test.
"""

import sys

from hypothesis import settings

settings.register_profile("moderate", deadline=None, max_examples=40, print_blob=True)
settings.register_profile("thorough", settings.get_profile("moderate"), max_examples=2000)
if not any(argument.startswith("--hypothesis-profile") for argument in sys.argv):
    settings.load_profile("moderate")
