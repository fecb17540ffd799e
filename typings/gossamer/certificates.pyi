from node.certificates import *
