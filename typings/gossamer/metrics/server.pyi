from node.metrics.server import *
