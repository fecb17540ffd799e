"""The status page of a node: live, in one page, to be mounted in an application or served beside the node.

::

    application.mount("/gossamer", web.app(node))
    web.serve(node, "127.0.0.1:7480")
"""

from .server import serve
from .site import app

__all__ = ["app", "serve"]
