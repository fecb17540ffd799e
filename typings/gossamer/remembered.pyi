from node.remembered import *
