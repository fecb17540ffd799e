from node.explaining import *
