from node.handles.transaction import *
