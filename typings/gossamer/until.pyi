from node.until import *
