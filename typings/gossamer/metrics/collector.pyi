from node.metrics.collector import *
