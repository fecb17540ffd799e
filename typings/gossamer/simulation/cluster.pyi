from node.simulation.cluster import *
