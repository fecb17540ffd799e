from node.handles.counter import *
