from node.turns import *
