from node.handles import *
