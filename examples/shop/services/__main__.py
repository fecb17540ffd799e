"""Start an instance: ``python -m examples.shop.services SETTING``, where the setting is JSON.

Why is everything imported on a thread of its own? That takes more than a second of a core. An instance that comes back
after a crash is to take it from nobody: the thread has a low priority, and those that serve later do not.
"""

from __future__ import annotations

import importlib
import os
import threading

IMPORT_NICE = 10


def _import() -> None:
    os.setpriority(
        os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + IMPORT_NICE
    )
    importlib.import_module(".process", __package__)


if __name__ == "__main__":
    importer = threading.Thread(target=_import)
    importer.start()
    importer.join()
    from .process import main

    main()
