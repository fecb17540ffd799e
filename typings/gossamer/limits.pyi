from node.limits import *
