from node.handles.register import *
