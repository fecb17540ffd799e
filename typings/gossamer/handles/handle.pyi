from node.handles.handle import *
