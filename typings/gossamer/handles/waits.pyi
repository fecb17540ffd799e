from node.handles.waits import *
