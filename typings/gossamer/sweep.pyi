from node.sweep import *
