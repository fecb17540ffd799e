from node.knowledge import *
