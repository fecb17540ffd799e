from node.handles.extreme import *
