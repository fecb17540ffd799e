from node.metrics.values import *
