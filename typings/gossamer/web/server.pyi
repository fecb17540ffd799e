from node.web.server import *
