from node.metrics import *
