from node.handles.ranges import *
