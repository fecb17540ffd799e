from node.backend import *
