from node.clock import *
