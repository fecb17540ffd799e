from node.handles.overlay import *
