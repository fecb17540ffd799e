from node.handles.space import *
