from node.handles.tree import *
