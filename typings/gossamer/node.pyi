from node.node import *
