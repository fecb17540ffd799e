from node.opening import *
