from node.handles.conflicts import *
