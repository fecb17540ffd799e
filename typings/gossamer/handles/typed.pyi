from node.handles.typed import *
