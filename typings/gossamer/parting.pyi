from node.parting import *
