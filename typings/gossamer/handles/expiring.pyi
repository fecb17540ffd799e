from node.handles.expiring import *
