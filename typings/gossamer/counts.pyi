from node.counts import *
