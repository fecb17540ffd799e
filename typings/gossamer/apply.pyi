from node.apply import *
