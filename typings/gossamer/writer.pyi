from node.writer import *
