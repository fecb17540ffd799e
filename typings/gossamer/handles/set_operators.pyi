from node.handles.set_operators import *
