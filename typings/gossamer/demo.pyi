from node.demo import *
