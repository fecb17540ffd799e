from node.metrics.lag import *
