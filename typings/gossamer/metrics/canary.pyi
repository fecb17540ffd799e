from node.metrics.canary import *
