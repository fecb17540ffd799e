from node.simulation import *
