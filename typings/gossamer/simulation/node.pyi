from node.simulation.node import *
