from node.hosting import *
