from node.handles.constructors import *
