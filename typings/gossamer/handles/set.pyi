from node.handles.set import *
