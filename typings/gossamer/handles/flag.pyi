from node.handles.flag import *
