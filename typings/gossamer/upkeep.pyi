from node.upkeep import *
