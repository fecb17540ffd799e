from node.maintenance import *
