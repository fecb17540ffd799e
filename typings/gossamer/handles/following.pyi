from node.handles.following import *
