from node.simulation.network import *
