from node.handles.fresh import *
