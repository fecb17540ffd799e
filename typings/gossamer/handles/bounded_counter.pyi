from node.handles.bounded_counter import *
