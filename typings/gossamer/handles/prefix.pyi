from node.handles.prefix import *
