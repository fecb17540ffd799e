from node.metrics.catalogue import *
