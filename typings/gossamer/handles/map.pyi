from node.handles.map import *
